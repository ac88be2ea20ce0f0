// Makes javascript.json, the vectors of javascript_test.go, with the JavaScript
// engine itself: node make.js > javascript.json
//
// numbers: [bits of the double in hexadecimal, JSON.stringify of it]
'use strict';

// A fixed linear congruential generator keeps the file the same on every run.
let state = 20261121;
const below = (n) => {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return Math.floor((state / 2 ** 32) * n);
};

const view = new DataView(new ArrayBuffer(8));
const numbers = [];
const number = (f) => {
  view.setFloat64(0, f);
  numbers.push([view.getBigUint64(0).toString(16).padStart(16, '0'), JSON.stringify(f)]);
};
[0, -0, 1e21, 1e-6, 1e-7, 0.1, 5e-324, Number.MAX_VALUE, 2 ** 53, 2 ** 53 + 2, -(2 ** 63), 123456789012345680000].forEach(number);
for (let i = 0; i < 400; i++) number((below(2 ** 31) - 2 ** 30) * 10 ** (below(60) - 34));
for (let i = 0; i < 400; i++) {
  view.setUint32(0, below(2 ** 32));
  view.setUint32(4, below(2 ** 32));
  const f = view.getFloat64(0);
  if (Number.isFinite(f)) number(f);
}
process.stdout.write(`${JSON.stringify({ numbers })}\n`);
