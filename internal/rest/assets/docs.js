'use strict';
// Draws openapi.json: no library, no inline code, every text set as text.
const el = (tag, cls, text) => {
  const e = document.createElement(tag);
  if (cls) e.className = cls;
  if (text !== undefined) e.textContent = text;
  return e;
};
let named = {};
// Schemas are drawn in place of the references to them.
const whole = (key, value) => (value && value.$ref ? named[value.$ref.split('/').pop()] : value);
const show = (parent, title, value) => {
  if (!value) return;
  parent.append(el('h4', '', title), el('pre', '', JSON.stringify(value, whole, 2)));
};
const entry = (path, verb, op) => {
  const d = el('details');
  const s = el('summary');
  s.append(el('span', 'verb', verb.toUpperCase()), el('span', 'path', path), el('span', 'note', op.summary || ''));
  d.append(s);
  d.addEventListener('toggle', () => {
    if (d.dataset.drawn) return;
    d.dataset.drawn = '1';
    if (op.description) d.append(el('p', '', op.description));
    d.append(el('p', '', op.security ? 'Login: X-Auth-Token and X-User-Id' + (op.security.length > 1 ? ' (optional)' : '') : 'No login'));
    show(d, 'Parameters', op.parameters);
    show(d, 'Body', op.requestBody && op.requestBody.content);
    for (const [status, r] of Object.entries(op.responses)) show(d, status + ' ' + r.description, r.content && r.content['application/json'].schema);
  });
  d.dataset.text = [path, verb, op.summary, op.description].join(' ').toLowerCase();
  return d;
};
fetch('openapi.json').then((r) => r.json()).then((doc) => {
  named = doc.components.schemas;
  document.getElementById('about').textContent = doc.info.description;
  const groups = new Map();
  for (const [path, verbs] of Object.entries(doc.paths)) {
    for (const [verb, op] of Object.entries(verbs)) {
      const tag = (op.tags && op.tags[0]) || 'other';
      if (!groups.has(tag)) groups.set(tag, []);
      groups.get(tag).push(entry(path, verb, op));
    }
  }
  const list = document.getElementById('list');
  for (const [tag, entries] of groups) list.append(el('h2', '', tag), ...entries);
  document.getElementById('filter').addEventListener('input', (e) => {
    const words = e.target.value.toLowerCase().split(/\s+/);
    for (const d of list.querySelectorAll('details')) d.hidden = !words.every((w) => d.dataset.text.includes(w));
  });
}).catch((e) => { document.getElementById('about').textContent = 'openapi.json could not be read: ' + e.message; });
