// What a setting is, and what may be written into its field.
import { texts } from '../../texts';

export type Value = boolean | number | string;

export type Setting = {
  _id: string;
  value: Value;
  packageValue: Value;
  type: 'boolean' | 'int' | 'string' | 'select';
  values?: { key: string; i18nLabel: string }[];
  minValue?: number;
  maxValue?: number;
  maxLength?: number;
  multiline: boolean;
  group: string;
  section?: string;
  public: boolean;
  secret: boolean;
  hidden: boolean;
  blocked: boolean;
  description?: string;
};

/** An edit that is not saved: what is in the field, and the value that was there when it began. */
export type Draft = { raw: boolean | string; base: Value };

/** What the field of a setting shows while nothing is edited. A secret value is never shown. */
export function raw(s: Setting, value: Value = s.value): boolean | string {
  if (s.type === 'boolean') return value === true;
  return s.secret ? '' : String(value ?? '');
}

/** Whether a draft would change the setting. What is written over a secret always may; an empty draft empties it. */
export const differs = (s: Setting, d: Draft) => (s.secret ? d.raw !== '' || s.value !== '' : d.raw !== raw(s));

/** The value that a field stands for, or why it stands for none. */
export function parse(s: Setting, text: boolean | string): { value: Value } | { wrong: string } {
  if (typeof text === 'boolean') return { value: text };
  const t = texts.settings;
  if (s.type === 'int') {
    const n = Number(text.trim());
    if (!/^-?\d+$/.test(text.trim()) || !Number.isSafeInteger(n)) return { wrong: t.wholeNumber };
    if ((s.minValue !== undefined && n < s.minValue) || (s.maxValue !== undefined && n > s.maxValue)) return { wrong: t.outside(s.minValue!, s.maxValue!) };
    return { value: n };
  }
  if (s.maxLength && new TextEncoder().encode(text).length > s.maxLength) return { wrong: t.tooLong(s.maxLength) };
  return { value: text };
}

/** A value for a person. */
export function told(s: Setting, value: Value): string {
  if (typeof value === 'boolean') return value ? texts.on : texts.off;
  if (s.secret && value !== '') return texts.settings.hidden;
  const text = s.type === 'select' ? choice(s, String(value ?? '')) : String(value ?? '');
  if (text === '') return texts.settings.empty;
  return text.length > 80 ? `${text.slice(0, 80)} …` : text;
}

/** What a value of a choice is called. */
export const choice = (s: Setting, key: string): string => texts.settings.choices[s._id]?.[key] ?? key.replaceAll('_', ' ');

/** The name of a setting for a person: a text of the console, or the words of its id. */
export function label(s: Setting): string {
  const known = (texts.settings.labels as Record<string, string>)[s._id];
  if (known) return known;
  const words = s._id.replace(/([a-z])([A-Z])/g, '$1 $2').split(/[_\s]+/);
  return words.map((w, i) => (i > 0 && /^[A-Z][a-z]/.test(w) ? w.toLowerCase() : w)).join(' ');
}

export type Section = { key: string; title: string; settings: Setting[] };

/** Sections in the order of the texts, which begins with what matters most; unknown ones follow. */
export function sections(all: Setting[]): Section[] {
  const order = new Map(Object.keys(texts.settings.labels).map((id, i) => [id, i]));
  const at = (s: Setting) => order.get(s._id) ?? order.size;
  const found = new Map<string, Section>();
  for (const s of [...all].sort((a, b) => at(a) - at(b) || (a._id < b._id ? -1 : 1))) {
    if (s.hidden) continue;
    const key = `${s.group}/${s.section ?? ''}`;
    const known = found.get(key);
    if (known) known.settings.push(s);
    else found.set(key, { key, title: s.section ? `${s.group}: ${s.section}` : s.group, settings: [s] });
  }
  return [...found.values()];
}

/** Whether every word of a search stands somewhere in what a setting says of itself. */
export function matches(s: Setting, search: string): boolean {
  const text = [s._id, label(s), s.description, s.group, s.section].join(' ').toLowerCase();
  return search.toLowerCase().split(/\s+/).every((word) => text.includes(word));
}
