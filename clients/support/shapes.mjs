// Real answers of a server, checked against the types that Rocket.Chat publishes, by the compiler that reads them.

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const here = dirname(fileURLToPath(import.meta.url));

/**
 * Compares answers with their types: [{verb, path, answer}], the path as it is declared. Gives {call, said} for each that
 * the declaration has otherwise: what is missing, or is of another type. Members that the declaration does not know are nobody's loss.
 */
export async function compare(answers) {
  const dir = await mkdtemp(join(here, '../node_modules/.shapes-'));
  const file = join(dir, 'answers.ts');
  const head = `import type { OperationResult } from '@rocket.chat/rest-typings';
import type { Serialized } from '@rocket.chat/core-typings';
// What came as JSON, as precise as it was written: members that a type does not know are no fault of it.
type Said<V> = V extends string | number | boolean | null | undefined ? V
  : V extends readonly (infer E)[] ? Said<E>[] : { -readonly [K in keyof V]: Said<V[K]> };
// A type as JSON has it: an enumeration is its texts.
type Plain<T> = T extends string ? \`\${T}\` : T extends readonly (infer E)[] ? Plain<E>[] : T extends object ? { [K in keyof T]: Plain<T[K]> } : T;
declare function said<const V>(value: V): Said<V>;
declare function check<T>(value: Plain<T>): void;
`;
  const starts = [];
  let text = head;
  for (const { verb, path, answer } of answers) {
    starts.push({ at: text.length, verb, path });
    text += `check<Serialized<OperationResult<'${verb}', '/v1/${path}'>>>(said(${JSON.stringify(answer)}));\n`;
  }
  await writeFile(file, text);
  const program = ts.createProgram([file], { strict: true, noEmit: true, skipLibCheck: true, target: ts.ScriptTarget.ES2022,
    module: ts.ModuleKind.NodeNext, moduleResolution: ts.ModuleResolutionKind.NodeNext, types: ['node'], typeRoots: [join(here, '../node_modules/@types')] });
  const source = program.getSourceFile(file);
  const found = [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)];
  await rm(dir, { recursive: true });
  return found.map((d) => {
    const { verb, path } = starts.findLast(({ at }) => at <= d.start);
    return { call: `${verb} ${path}`, said: plain(ts.flattenDiagnosticMessageText(d.messageText, '\n')) };
  });
}

// plain is what the compiler says, without the values of this session.
function plain(text) {
  const lines = text.split('\n').map((line) => line.trim());
  const missing = /Property '(\w+)' is missing|missing the following properties from type .*: ([\w, ]+?)(, and \d+ more\.)?$/.exec(lines.at(-1));
  const where = lines.filter((line) => line.startsWith('Types of property')).map((line) => /'(\w+)'/.exec(line)[1]);
  const at = where.length ? ` in \`${where.join('.')}\`` : '';
  if (missing) return `has ${(missing[1] ?? missing[2]).split(', ').map((name) => `\`${name}\``).join(', ')}${missing[3] ? ' and more' : ''}${at}`;
  return `another type${at}`;
}
