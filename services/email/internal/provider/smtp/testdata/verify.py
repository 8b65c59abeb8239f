# Checks the DKIM signatures of mails with dkimpy. Standard input: JSON with dns
# (names and their TXT records) and mails (base64). Standard output: JSON, for
# each mail "ok" or why not.
import base64
import json
import sys

import dkim

asked = json.load(sys.stdin)


def txt(name, timeout=5):
    return asked["dns"].get(name.decode().lower(), "").encode() or None


def answer(mail):
    try:
        return "ok" if dkim.verify(mail, dnsfunc=txt) else "the signature does not fit"
    except Exception as error:
        return type(error).__name__ + ": " + str(error)


json.dump([answer(base64.b64decode(mail)) for mail in asked["mails"]], sys.stdout)
