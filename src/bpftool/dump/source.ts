// What the BTF of a program says beside its instructions: the prototype where a function begins, and source lines.

import type { ProgDump } from '../../bpf/bpf.js';
import type { Btf, BtfFuncProto } from '../../btf/index.js';

/** A record of line information. */
export interface SourceLine {
  readonly file: string;
  /** Without the blanks that it begins with. */
  readonly text: string;
  readonly line: number;
  readonly column: number;
}

/** struct bpf_func_info: where a function begins (slot), and its type. */
export interface FunctionRecord {
  readonly slot: number;
  readonly prototype: string;
}

export function functionRecords(
  { funcInfo, funcInfoRecSize }: ProgDump,
  btf: Btf | undefined,
): FunctionRecord[] {
  if (!btf || funcInfoRecSize < 8) return [];
  const view = new DataView(funcInfo.buffer, funcInfo.byteOffset, funcInfo.byteLength);
  const records: FunctionRecord[] = [];
  for (let at = 0; at + funcInfoRecSize <= view.byteLength; at += funcInfoRecSize) {
    records.push({
      slot: view.getUint32(at, true),
      prototype: prototypeText(btf, view.getUint32(at + 4, true)),
    });
  }
  return records;
}

/** struct bpf_line_info[], by number. */
export class LineRecords {
  readonly #view: DataView;
  readonly #size: number;
  readonly #btf: Btf;
  readonly count: number;

  constructor({ lineInfo, lineInfoRecSize }: ProgDump, btf: Btf) {
    this.#view = new DataView(lineInfo.buffer, lineInfo.byteOffset, lineInfo.byteLength);
    this.#size = lineInfoRecSize;
    this.#btf = btf;
    this.count = lineInfoRecSize < 16 ? 0 : Math.floor(lineInfo.length / lineInfoRecSize);
  }

  slot(record: number): number {
    return this.#view.getUint32(record * this.#size, true);
  }

  /** The last record at or before a slot, of those from `first` on. */
  find(slot: number, first = 0): number | undefined {
    if (first >= this.count || slot < this.slot(first)) return undefined;
    let found = first;
    while (found + 1 < this.count && this.slot(found + 1) <= slot) found++;
    return found;
  }

  /** Undefined when it has no text. */
  line(record: number): SourceLine | undefined {
    const at = record * this.#size;
    const text = this.#btf.string(this.#view.getUint32(at + 8, true)).replace(/^\s+/, '');
    if (text === '') return undefined;
    const lineCol = this.#view.getUint32(at + 12, true);
    return {
      text,
      file: this.#btf.string(this.#view.getUint32(at + 4, true)),
      line: lineCol >>> 10,
      column: lineCol & 0x3ff,
    };
  }
}

/** How deep a type may be nested before that is taken for a loop. */
const DEEPEST = 64;

/** The prototype of a function as bpftool writes it: `int hello(struct xdp_md * ctx)`; empty for what is no type. */
export function prototypeText(btf: Btf, id: number): string {
  try {
    return typeText(btf, id, 0);
  } catch {
    return '';
  }
}

function typeText(btf: Btf, id: number, depth: number): string {
  if (depth > DEEPEST) throw new RangeError('types that contain themselves');
  const type = btf.type(id);
  const inner = (other: number) => typeText(btf, other, depth + 1);
  switch (type.kind) {
    case 'VOID':
      return 'void ';
    case 'INT':
    case 'TYPEDEF':
    case 'FLOAT':
      return `${type.name} `;
    case 'STRUCT':
    case 'UNION':
      return `${type.kind.toLowerCase()} ${type.name} `;
    case 'ENUM':
    case 'ENUM64':
      return `enum ${type.name} `;
    case 'FWD':
      return `${type.union ? 'union' : 'struct'} ${type.name} `;
    case 'ARRAY':
      return `${inner(type.type)}[${type.length}]`;
    case 'PTR':
      return `${inner(type.type)}* `;
    case 'VOLATILE':
    case 'CONST':
    case 'RESTRICT':
      return `${type.kind.toLowerCase()} ${inner(type.type)}`;
    case 'FUNC_PROTO':
      return functionText(btf, type, '', depth);
    case 'FUNC':
      return functionText(btf, btf.type(type.type) as BtfFuncProto, type.name, depth);
    default:
      return '';
  }
}

function functionText(btf: Btf, proto: BtfFuncProto, name: string, depth: number): string {
  const params = proto.params.map((param) => {
    if (!param.type) return '...';
    const text = typeText(btf, param.type, depth + 1);
    return param.name ? `${text}${param.name}` : text.trimEnd();
  });
  return `${typeText(btf, proto.returnType, depth + 1)}${name}(${params.join(', ')})`;
}
