// What makes the forms of the sign-in page easier. Every one of them works
// without it.
(() => {
  'use strict';
  const all = (what) => document.querySelectorAll(what);

  // A form is sent once, by whichever button. Fields stay as they are: what is
  // disabled is not sent. Coming back to the page makes it good again.
  let wait; // for the code of a text message
  for (const form of all('form')) {
    form.addEventListener('submit', (event) => {
      if (form.dataset.sent) {
        event.preventDefault();
        return;
      }
      form.dataset.sent = 'yes';
      if (wait) wait.abort();
    });
  }
  addEventListener('pageshow', () => {
    for (const form of all('form')) delete form.dataset.sent;
  });

  // A code is sent as soon as it is there as a whole, pasted or filled in.
  const plain = (text) => text.replace(/[\s\u200b-\u200f\u2060\ufeff-]/g, '');
  for (const field of all('input[autocomplete="one-time-code"]')) {
    const take = (text) => {
      const code = plain(text);
      if (!/^(\d{6}|\d{8})$/.test(code)) return false;
      field.value = code;
      field.form.requestSubmit();
      return true;
    };
    field.addEventListener('paste', (event) => {
      if (event.clipboardData && take(event.clipboardData.getData('text'))) event.preventDefault();
    });
    field.form.addEventListener('submit', () => { field.value = plain(field.value); });
    if ('otp' in field.dataset && 'OTPCredential' in window) {
      wait = new AbortController();
      navigator.credentials.get({ otp: { transport: ['sms'] }, signal: wait.signal })
        .then((came) => { if (came) take(came.code); }, () => {});
    }
  }

  // A button that has to wait says for how long.
  for (const button of all('button[data-wait]')) {
    const until = Date.now() + 1000 * button.dataset.wait;
    const text = document.getElementById(button.getAttribute('aria-describedby'));
    const tick = () => {
      const left = Math.ceil((until - Date.now()) / 1000);
      button.disabled = left > 0;
      text.hidden = left <= 0;
      if (left <= 0) return;
      text.textContent = (left > 1 ? text.dataset.many : text.dataset.single).replace('{n}', left);
      setTimeout(tick, 1000);
    };
    if (button.dataset.wait > 0 && text) tick();
  }

  const reveal = (what, act) => {
    for (const button of all(what)) {
      button.hidden = false;
      button.addEventListener('click', () => act(button));
    }
  };
  reveal('button[data-show]', (button) => {
    const field = document.getElementById(button.dataset.show);
    const shown = field.type === 'text';
    field.type = shown ? 'password' : 'text';
    const word = button.textContent;
    button.textContent = button.dataset.other;
    button.dataset.other = word;
    field.focus();
  });
  // A password that is shown is still none that a browser should remember as text.
  for (const field of all('input[type="password"]')) {
    field.form.addEventListener('submit', () => { field.type = 'password'; });
  }
  if (navigator.clipboard) {
    reveal('button[data-copy]', (button) => {
      const lines = [...document.getElementById(button.dataset.copy).children].map((line) => line.textContent);
      navigator.clipboard.writeText(lines.join('\n')).then(() => { button.textContent = button.dataset.done; }, () => {});
    });
  }
  reveal('button[data-print]', () => print());

  // How good a new password looks, as far as a page can tell: length first, and
  // what everybody tries counts little. It is judged when it is saved; nothing of
  // it is sent before.
  const fold = (text) => text.normalize('NFD').replace(/\p{Mn}/gu, '').toLowerCase().normalize('NFC');
  const keys = 'abcdefghijklmnopqrstuvwxyz\n01234567890\nqwertyuiop\nqwertzuiop\nasdfghjkl\nazertyuiop';
  const rows = keys + '\n' + [...keys].reverse().join('');
  for (const field of all('input[data-least]')) {
    const meter = document.getElementById('meter');
    const text = document.getElementById('strength');
    const words = field.dataset.known.split('\n').map(fold);
    const least = Number(field.dataset.least);
    meter.max = meter.optimum = least + 6;
    meter.high = meter.max - 1;
    meter.low = least;
    const look = () => {
      const more = least - [...field.value.normalize('NFC')].length;
      let rest = fold(field.value).slice(0, 256);
      let known = false;
      for (const word of words) {
        if (!rest.includes(word)) continue;
        known = true;
        rest = rest.replaceAll(word, '');
      }
      rest = [...rest.replace(/(.)\1{2,}|(.{2,8}?)\2{2,}|(.{4,32}?)\3+/gu, '$1$2$3')];
      const counts = rest.filter((_, i) => i < 3 || !rows.includes(rest.slice(i - 3, i + 1).join(''))).length;
      meter.value = more > 0 ? Math.min(counts, least - 1) : counts;
      meter.hidden = !field.value;
      if (!field.value) return '';
      if (more > 0) return text.dataset[more > 1 ? 'many' : 'single'].replace('{n}', more);
      if (counts < least) return text.dataset[known ? 'known' : 'row'];
      return text.dataset[counts < meter.high ? 'enough' : 'strong'];
    };
    let rests; // a screen reader hears of it when the typing does
    field.addEventListener('input', () => {
      const says = look();
      clearTimeout(rests);
      rests = setTimeout(() => { text.textContent = says; }, 300);
    });
  }
})();
