// The surface of the server and the list of further protected calls, as the page needs them.
export type Factor = 'none' | 'ordinary' | 'fresh' | 'login';

type Spec = { factor: Factor; whenNeeded?: Factor; onlyFactors?: string[]; notFactors?: string[]; effects: string[]; actions?: string[]; passage: boolean; enrolment: boolean };
export type Surface = {
  methods: (Spec & { name: string; doc: string })[];
  routes: (Spec & { verb: string; path: string; summary: string; method?: string })[];
  protection?: Protection;
};
export type Covered = { entry: string; known: boolean; methods: string[]; routes: string[] };
export type Protection = { setting: string; value: string; forced: boolean; entries: Covered[] };

/** A call as the page lists it. name is what an entry of the list says: a method, or a route with its verb. */
export type Call = { name: string; kind: 'method' | 'route'; path: string; doc: string } & Omit<Spec, 'actions' | 'enrolment'>;

export function calls(s: Surface): Call[] {
  const pick = ({ factor, whenNeeded, onlyFactors, notFactors, effects, passage }: Spec) => ({ factor, whenNeeded, onlyFactors, notFactors, effects, passage });
  return [
    ...s.methods.map((m): Call => ({ name: m.name, kind: 'method', path: m.name, doc: m.doc, ...pick(m) })),
    ...s.routes.map((r): Call => ({ name: `${r.verb} ${r.path}`, kind: 'route', path: r.path, doc: r.summary, ...pick(r) })),
  ];
}

/** The entries of the list: separated by commas or line breaks, each in one form. */
export function entries(text: string): string[] {
  const all = text.split(/[,\r\n]/).map(canonical).filter(Boolean);
  return [...new Set(all)];
}

/** An entry in its two parts: what it names, and the least factor that it takes, '' where every one will do. */
export function parts(entry: string): { pattern: string; demand: string } {
  const [pattern = '', ...demand] = entry.split('=');
  return { pattern: pattern.trim(), demand: demand.join('=').trim() };
}

/** The parts as an entry. */
export const joined = (pattern: string, demand: string) => (demand ? `${pattern} = ${demand}` : pattern);

/** One blank between verb and route, the verb in capitals, the route without the prefix of its address; a demand behind an equals sign. */
export function canonical(entry: string): string {
  const { pattern, demand } = parts(entry);
  return joined(named(pattern), demand);
}

function named(entry: string): string {
  const m = /^(GET|POST|PUT|PATCH|DELETE)\s+(.*)$/i.exec(entry.trim());
  const path = (m ? m[2]! : entry).trim().replace(/^\/api\/v1\//, '');
  return m ? `${m[1]!.toUpperCase()} ${path}` : path;
}

/** The entries that name this very call and nothing else. */
export const naming = (c: Call, list: string[]) => list.filter((e) => [c.name, c.kind === 'route' && c.path].includes(parts(e).pattern));

/** Which entries cover which call: by its name, by a wildcard, or because the call does the same as one that is named. */
export function coverage(p: Protection | undefined): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const e of p?.entries ?? []) {
    for (const name of [...e.methods, ...e.routes]) found.set(name, [...(found.get(name) ?? []), canonical(e.entry)]);
  }
  return found;
}
