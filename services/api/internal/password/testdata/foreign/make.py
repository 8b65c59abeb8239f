"""Makes vectors.json: hashes by programs that share no line with this product.

Debian 12: python3, python3-passlib 1.7.4, python3-django 3.2.25, python3-bcrypt 3.2.2, python3-argon2 21.1.0, argon2
(0~20171227), apache2-utils 2.4 (htpasswd); from the npm registry: firebase-scrypt 2.2.0. Run: python3 make.py > vectors.json
(FIREBASE is the folder with node_modules in it).
"""
import base64, hashlib, json, os, subprocess

import django
from django.conf import settings
settings.configure(PASSWORD_HASHERS=[
    "django.contrib.auth.hashers." + name for name in (
        "PBKDF2PasswordHasher", "PBKDF2SHA1PasswordHasher", "Argon2PasswordHasher", "BCryptSHA256PasswordHasher", "BCryptPasswordHasher")])
django.setup()
from django.contrib.auth.hashers import make_password, get_hasher
from passlib import hash as passlib

PASSWORDS = ["correct horse battery", "pässwört mit ünïcode ☃", "x" * 71 + "the tail behind the seventy-second byte"]
out = []


def add(made, password, text, **more):
    out.append(dict(made=made, password=password, hash=text, **more))


def django_with(algorithm, **cost):
    hasher = get_hasher(algorithm)
    for name, value in cost.items():
        setattr(hasher, name, value)
    return hasher


def b64(raw):
    return base64.b64encode(raw).rstrip(b"=").decode()


for p in PASSWORDS:
    short = p.encode()[:72].decode(errors="ignore")
    for variant in ("2a", "2b", "2y"):
        add("passlib bcrypt", p, passlib.bcrypt.using(rounds=4, ident=variant, truncate_error=False).hash(p))
    add("htpasswd -B", p, subprocess.run(["htpasswd", "-nbBC", "5", "u", p], capture_output=True, text=True, check=True).stdout.strip()[2:])
    add("django bcrypt", p, django_with("bcrypt", rounds=4).encode(p, django_with("bcrypt", rounds=4).salt()))
    add("django bcrypt_sha256", p, django_with("bcrypt_sha256", rounds=4).encode(p, django_with("bcrypt_sha256", rounds=4).salt()))
    add("passlib bcrypt_sha256 v2", p, passlib.bcrypt_sha256.using(rounds=4).hash(p))
    add("passlib bcrypt_sha256 v1", p, passlib.bcrypt_sha256.using(rounds=4, version=1).hash(p))
    add("passlib scrypt", p, passlib.scrypt.using(rounds=4, block_size=8, parallelism=2).hash(p))
    salt = os.urandom(16)
    add("hashlib scrypt", p, "$scrypt$ln=5,r=4,p=1$%s$%s" % (b64(salt), b64(hashlib.scrypt(p.encode(), salt=salt, n=32, r=4, p=1, dklen=64))))
    # The form of Django 4.0, which this Django is too old for.
    add("hashlib scrypt as django 4.0 writes it", p, "scrypt$32$saltysalty$8$1$" + base64.b64encode(hashlib.scrypt(p.encode(), salt=b"saltysalty", n=32, r=8, p=1, dklen=64)).decode())
    for name in ("sha1", "sha256", "sha512"):
        add("passlib pbkdf2_" + name, p, getattr(passlib, "pbkdf2_" + name).using(rounds=7).hash(p))
        salt = os.urandom(12)
        add("hashlib pbkdf2 " + name, p, "$pbkdf2-%s$i=9,l=32$%s$%s" % (name, b64(salt), b64(hashlib.pbkdf2_hmac(name, p.encode(), salt, 9, 32))))
    add("django pbkdf2_sha256", p, django_with("pbkdf2_sha256").encode(p, "saltysalty", 11))
    add("django pbkdf2_sha1", p, django_with("pbkdf2_sha1").encode(p, "saltysalty", 11))
    add("django argon2", p, django_with("argon2", memory_cost=256, time_cost=1, parallelism=2).encode(p, "saltysalty"))
    for kind in ("i", "id"):
        add("argon2 -" + kind, p, subprocess.run(["argon2", "saltysalty", *([] if kind == "i" else ["-id"]), "-t", "2", "-k", "128", "-p", "2", "-l", "24", "-e"],
            input=p, capture_output=True, text=True, check=True).stdout.strip())
    params = dict(memCost=4, rounds=8, saltSeparator="Bw==", signerKey=base64.b64encode(bytes(range(64))).decode())
    salt = base64.b64encode(os.urandom(10)).decode()
    script = "const {FirebaseScrypt}=require('firebase-scrypt');const [p,s,k]=JSON.parse(process.argv[1]);new FirebaseScrypt(k).hash(p,s).then(h=>console.log(h))"
    made = subprocess.run(["node", "-e", script, json.dumps([p, salt, params])], capture_output=True, text=True, check=True, cwd=os.environ["FIREBASE"]).stdout.strip()
    add("npm firebase-scrypt", p, made, firebase=dict(salt=salt, **params))
print(json.dumps(out, indent=1, ensure_ascii=False))
