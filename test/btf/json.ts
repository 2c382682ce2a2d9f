// JSON as bpftool prints it, from what writes it.

import { JsonWriter } from '../../src/bpftool/json-writer.js';
import type { Btf } from '../../src/btf/index.js';
import { rawTypes, valueWriter } from '../../src/btf/index.js';

/** The text that `write` makes. */
export function jsonText(write: (json: JsonWriter) => void, pretty = false): string {
  let text = '';
  write(
    new JsonWriter((part) => {
      text += part;
    }, pretty),
  );
  return text;
}

/** A value as `bpftool map dump` prints it, plain unless JSON is asked for. */
export function valueText(
  btf: Btf,
  id: number,
  bytes: Uint8Array,
  { json = false, pretty = !json }: { json?: boolean; pretty?: boolean } = {},
): string {
  return jsonText((sink) => valueWriter(btf, id, { plain: !json })(bytes, sink), pretty);
}

/** `bpftool -j btf dump`, or with -p. */
export const rawJson = (btf: Btf, pretty = false, roots?: readonly number[]): string =>
  `${jsonText((json) => json.value({ types: [...rawTypes(btf, roots)] }), pretty)}\n`;
