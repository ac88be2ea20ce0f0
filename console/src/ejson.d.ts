declare module 'ejson' {
  const EJSON: { parse(text: string): unknown; stringify(value: unknown): string };
  export default EJSON;
}
