// What the original says, for the tests of pkg/zxcvbn that compare with it:
//
//   node original.js words DIRECTORY   writes its word lists, the most used word first
//   node original.js judge             judges passwords: {"password","context"} a line on its input
//   node original.js time ROUNDS       the same, and how many it judges a second
//
// NODE_PATH names the folder into which npm has installed zxcvbn@4.4.2.
'use strict';
const fs = require('fs');
const zlib = require('zlib');

const longest = 100; // the units of a password that are looked at

function words(directory) {
  const lists = require('zxcvbn/lib/frequency_lists');
  for (const name of Object.keys(lists)) {
    const text = lists[name].join('\n') + '\n';
    fs.writeFileSync(`${directory}/${name}.gz`, zlib.gzipSync(text, { level: 9 }));
  }
}

function passwords() {
  return fs.readFileSync(0, 'utf8').split('\n').filter(Boolean).map(line => JSON.parse(line));
}

function judge() {
  const zxcvbn = require('zxcvbn');
  for (const { password, context } of passwords()) {
    const { score, guesses, feedback } = zxcvbn(password.slice(0, longest), context || []);
    console.log(JSON.stringify({ password, context, score, log10: Math.log10(guesses), warning: feedback.warning, suggestions: feedback.suggestions }));
  }
}

// time says how long each password took, in microseconds, in the fastest of
// several rounds.
function time(rounds) {
  const zxcvbn = require('zxcvbn');
  const all = passwords();
  const took = all.map(() => Infinity);
  for (let round = 0; round < rounds; round++) {
    all.forEach(({ password, context }, i) => {
      const start = process.hrtime.bigint();
      zxcvbn(password.slice(0, longest), context || []);
      took[i] = Math.min(took[i], Number(process.hrtime.bigint() - start) / 1000);
    });
  }
  console.log(JSON.stringify(took));
}

const [command, argument] = process.argv.slice(2);
({ words, judge, time })[command](argument);
