// What two kernels rightly say differently about the same objects: ids, times, addresses, sizes of machine code.

import type { Bpf } from '../../src/bpf/bpf.js';
import { BpfError } from '../../src/bpf/errno.js';

/** Recorded ids by name; the names of programs, maps and, by the program that has it, of BTF. */
const RECORDED = {
  prog: { hello: 38596, touch: 38847, callee: 38849 },
  map: {
    'hello.bss': 42281,
    'hello.rodata': 42282,
    in1: 42305,
    aom: 42307,
    h: 42308,
    arr: 42309,
    pca: 42310,
    pch: 42311,
    lru: 42312,
    lpm: 42313,
    q: 42314,
    st: 42315,
    bf: 42316,
    rb: 42317,
    jmp: 42318,
    urb: 42319,
    pea: 42320,
    dm: 42321,
    cm: 42322,
    'maps.rodata': 42324,
    'maps.data': 42325,
    'maps.bss': 42326,
  } as Record<string, number>,
  btf: { hello: 63112, touch: 63156 },
};

type Kind = keyof typeof RECORDED;

/** Our ids of the recorded ones, by kind. */
export class Ids {
  readonly #recorded: Record<Kind, Map<number, number>> = { prog: new Map(), map: new Map(), btf: new Map() };

  /** Looks what there is in a kernel. */
  static async of(kernel: Bpf): Promise<Ids> {
    const ids = new Ids();
    await each(
      (id) => kernel.progGetNextId(id),
      async (id) => {
        const fd = await kernel.progGetFdById(id);
        const { name, btfId } = await kernel.progInfo(fd);
        await kernel.close(fd);
        ids.#know('prog', id, (RECORDED.prog as Record<string, number>)[name]);
        ids.#know('btf', btfId, (RECORDED.btf as Record<string, number>)[name]);
      },
    );
    await each(
      (id) => kernel.mapGetNextId(id),
      async (id) => {
        const fd = await kernel.mapGetFdById(id);
        const { name } = await kernel.mapInfo(fd);
        await kernel.close(fd);
        ids.#know('map', id, RECORDED.map[name]);
      },
    );
    return ids;
  }

  #know(kind: Kind, ours: number, recorded: number | undefined): void {
    if (recorded !== undefined) this.#recorded[kind].set(ours, recorded);
  }

  /** The recorded id for one of ours; ours when it stands for none. */
  recorded(kind: Kind, ours: string): string {
    return String(this.#recorded[kind].get(Number(ours)) ?? ours);
  }

  /** The word of a recorded command line with the id that we have in its place. */
  word(word: string): string {
    for (const kind of ['prog', 'map', 'btf'] as const) {
      for (const [ours, recorded] of this.#recorded[kind]) if (String(recorded) === word) return String(ours);
    }
    return word;
  }

  /** Our output with the recorded ids. */
  inText(text: string): string {
    const list = (kind: Kind, ids: string): string => ids.replace(/\d+/g, (id) => this.recorded(kind, id));
    return text
      .replace(
        /(map\[id:)(\d+)(\].*\n +(?:[0-9a-f]{2} ){4})((?:[0-9a-f]{2} ){4})/g,
        (_, a, id, b, hex) => `${a}${id}${b}${this.#hex('map', hex.trim().split(' ')).join(' ')} `,
      )
      .replace(
        /(map\[id:\d+\][^{}]*"opcodes": ?\{[^}]*?"imm": ?\[)((?:"0x..",){4})/g,
        (_, a, hex) => `${a}${this.#quotedHex('map', hex)}`,
      )
      .replace(/(?<=map\[id:)\d+/g, (id) => this.recorded('map', id))
      .replace(/^\d+(?=: name )/gm, (id) => this.recorded('btf', id))
      .replace(/^\d+(?=: \S+ {2}name \S+ {2}tag )/gm, (id) => this.recorded('prog', id))
      .replace(/^\d+(?=: \S+ {2}name \S+ {2}flags )/gm, (id) => this.recorded('map', id))
      .replace(/(?<=map_ids )[\d,]+/g, (ids) => list('map', ids))
      .replace(/(?<=prog_ids )[\d,]+/g, (ids) => list('prog', ids))
      .replace(/(?<=btf_id )\d+/g, (id) => this.recorded('btf', id))
      .replace(/(?<=inner_map_id"?: ?)\d+/g, (id) => this.recorded('map', id))
      .replace(/(?<="id": ?)\d+(?=,\s*"type": ?"xdp")/g, (id) => this.recorded('prog', id))
      .replace(/(?<="id": ?)\d+(?=,\s*"type": ?"(?!xdp))/g, (id) => this.recorded('map', id))
      .replace(/(?<="id": ?)\d+(?=,\s*"size")/g, (id) => this.recorded('btf', id))
      .replace(/(?<="btf_id": ?)\d+/g, (id) => this.recorded('btf', id))
      .replace(/(?<="map_ids": ?)\[[^\]]*\]/g, (ids) => list('map', ids))
      .replace(/(?<="prog_ids": ?)\[[^\]]*\]/g, (ids) => list('prog', ids));
  }

  /** The same for elements whose values are ids. */
  inValues(kind: Kind, text: string): string {
    return text
      .replace(/(?<=value: )(?:[0-9a-f]{2} ?){4}$/gm, (hex) =>
        this.#hex(kind, hex.trim().split(' ')).join(' '),
      )
      .replace(/(?<="value": ?\[)(?:"0x..",?){4}/g, (hex) => this.#quotedHex(kind, `${hex},`).slice(0, -1));
  }

  #hex(kind: Kind, digits: readonly string[]): string[] {
    const ours = Buffer.from(digits.join(''), 'hex').readUInt32LE();
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32LE(Number(this.recorded(kind, String(ours))));
    return [...bytes].map((byte) => byte.toString(16).padStart(2, '0'));
  }

  #quotedHex(kind: Kind, quoted: string): string {
    const digits = [...quoted.matchAll(/0x(..)/g)].map(([, two = '']) => two);
    return this.#hex(kind, digits)
      .map((two) => `"0x${two}",`)
      .join('');
  }
}

async function each(
  next: (id: number) => Promise<number>,
  visit: (id: number) => Promise<void>,
): Promise<void> {
  for (let id = 0; ; ) {
    try {
      id = await next(id);
    } catch (error) {
      if (error instanceof BpfError) return;
      throw error;
    }
    await visit(id);
  }
}

/** What is compared by shape only, with a word in its place. */
export function shape(text: string): string {
  return text
    .replace(/(?<=loaded_at )\S+/g, 'TIME')
    .replace(/(?<="loaded_at": ?)\d+/g, 'TIME')
    .replace(/(?<=memlock )\d+(?=B)/g, 'BYTES')
    .replace(/(?<="bytes_memlock": ?)\d+/g, 'BYTES')
    .replace(/(?<= jited )\d+(?=B)/g, 'BYTES')
    .replace(/(?<="bytes_jited": ?)\d+/g, 'BYTES')
    .replace(/(?<=run_time_ns )\d+/g, 'NS')
    .replace(/(?<="run_time_ns": ?)\d+/g, 'NS')
    .replace(/(?<=duration(?: \(average\))?: )\d+/g, 'NS')
    .replace(/(?<="duration": ?)\d+/g, 'NS')
    .replace(/(?<=\[vmlinux\] {2}size )\d+/g, 'BYTES')
    .replace(/(?<="id": ?1,\s*"size": ?)\d+/g, 'BYTES')
    .replace(/(call \w+#)-?\d+("[^}]*?"imm": ?\[)(?:"0x..",?){4}/g, '$1ADDRESS$2ADDRESS')
    .replace(/(call \w+#)-?\d+(\n +(?:[0-9a-f]{2} ){4})(?:[0-9a-f]{2} ?){4}/g, '$1ADDRESS$2ADDRESS')
    .replace(/(?<=\(85\) call (?!bpf_tail_call)\w+#)-?\d+/g, 'ADDRESS')
    .replace(/0xffff[0-9a-f]{12}/g, 'ADDRESS')
    .replace(/(?<=verification time )\d+/g, 'USEC')
    .replace(/^ *\S+-\d+ +\[\d+\] (\S+) +\d+\.\d+:/gm, 'TASK [CPU] $1 TIME:')
    .replace(/(?<=")[ ]*\S+-\d+ +\[\d+\] (\S+) +\d+\.\d+:/g, 'TASK [CPU] $1 TIME:');
}
