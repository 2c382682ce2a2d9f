// Rewriting against Linux's: the instructions of every accepted program, as the live kernel showed them and as ours are.
// Maps are compared in the order in which they appear, called functions by name, addresses of the kernel as addresses.

import { readFileSync } from 'node:fs';
import { Btf } from '../../dist/btf/index.js';
import { decodeOne, disassembleKernel } from '../../dist/isa/index.js';
import { rewriteWith } from '../../dist/kernel/verifier/rewrites/index.js';
import { prepare, run } from './ours.mjs';
import { readKernel, readRecordings, recordedObjects } from './recording.mjs';

const CALL = 0x85;
const LD_IMM64 = 0x18;
const MOV_PERCPU = 0xbf;

/** Names of the kernel's functions by their distance from `__bpf_call_base`; several may have one distance. */
function liveNames() {
  const symbols = [];
  let base = 0n;
  for (const line of readFileSync('/proc/kallsyms', 'utf8').split('\n')) {
    const [address, , name] = line.split(/\s/);
    if (!name) continue;
    symbols.push([BigInt(`0x${address}`), name]);
    if (name === '__bpf_call_base') base = BigInt(`0x${address}`);
  }
  const names = new Map();
  for (const [address, name] of symbols) {
    const distance = Number(BigInt.asIntN(32, address - base));
    names.set(distance, [...(names.get(distance) ?? []), name]);
  }
  return names;
}

/** Ours are numbered as they are met. */
class OurNames {
  #numbers = new Map();
  #names = [];
  #number(name) {
    if (!this.#numbers.has(name)) this.#numbers.set(name, this.#names.push(name) - 1);
    return this.#numbers.get(name);
  }
  distance(name) {
    return 0x10000 + this.#number(name);
  }
  address(name) {
    return [this.#number(name), -1];
  }
  name(distance) {
    return this.#names[distance - 0x10000];
  }
}

/** Of the kernel, or of the process that made the recording. */
const isAddress = ({ imm, immHigh }) =>
  (immHigh >>> 16 === 0xffff && imm !== immHigh) || (immHigh >>> 0 >= 0x7e00 && immHigh >>> 0 < 0x8000);

/** A program as lines that can be compared. */
function lines(xlated, nameOf) {
  const maps = new Map();
  const mapOf = (id) => {
    if (!maps.has(id)) maps.set(id, maps.size);
    return `map${maps.get(id)}`;
  };
  const found = [];
  for (let slot = 0; slot * 8 < xlated.length; ) {
    const { insn, slots } = decodeOne(xlated, slot);
    const next = slot + slots;
    let text = disassembleKernel(insn);
    if (insn.opcode === LD_IMM64 && (insn.src === 1 || insn.src === 2))
      text = `(18) r${insn.dst} = ${mapOf(insn.imm)}${insn.src === 2 ? `[0]+${insn.immHigh}` : ''}`;
    else if (insn.opcode === LD_IMM64 && insn.src === 4)
      text = `(18) r${insn.dst} = subprog${insn.imm} ${insn.immHigh}`;
    else if (insn.opcode === LD_IMM64 && insn.src === 0 && isAddress(insn))
      text = `(18) r${insn.dst} = ADDRESS`;
    else if (insn.opcode === CALL && insn.src !== 1) text = `call ${insn.src} ${nameOf(insn.imm)}`;
    else if (insn.opcode === CALL) text = `call pc${insn.offset} ${insn.imm}`;
    else if (insn.opcode === 0xb7 && next * 8 < xlated.length) {
      // The address of a variable that every CPU has, before it is made this CPU's.
      const after = decodeOne(xlated, next).insn;
      if (after.opcode === MOV_PERCPU && after.offset === -1 && after.src === insn.dst)
        text = `(b7) r${insn.dst} = PERCPU`;
    }
    found.push(text);
    slot = next;
  }
  return found;
}

/** { id, same, threw?, live, ours } for every accepted program of a set; `filter` names one object or test. */
export function* compareXlated(set, mode, filter) {
  const kernel = readKernel();
  const types = Btf.parse(kernel.btf);
  const live = liveNames();
  for (const object of recordedObjects(set)) {
    if (filter.object !== undefined && object !== filter.object) continue;
    for (const test of readRecordings(set, object)) {
      const xlated = test[mode]?.xlated;
      if (!xlated || (filter.test !== undefined && !test.id.endsWith(`/${filter.test}`))) continue;
      const names = new OurNames();
      try {
        const verdict = run(prepare(test, mode), 0);
        if (!verdict.facts) continue;
        const ours = rewriteWith(verdict.facts, types, names);
        const wanted = lines(xlated, (imm) => live.get(imm) ?? [`?${imm}`]);
        const had = lines(ours.xlated, (imm) => names.name(imm) ?? `?${imm}`);
        const same = (a, b) =>
          a === b || (a?.startsWith('call ') && b?.startsWith('call ') && sameCall(a, b));
        const at =
          had.length >= wanted.length
            ? had.findIndex((line, i) => !same(wanted[i], line))
            : wanted.findIndex((line, i) => !same(line, had[i]));
        yield {
          id: test.id,
          type: test.attr.type,
          attach: test.attr.expectedAttachType,
          same: at < 0,
          at,
          live: wanted,
          ours: had,
        };
      } catch (error) {
        yield { id: test.id, type: test.attr.type, same: false, threw: error.stack };
      }
    }
  }
}

/** The kernel's line has all names of an address. */
function sameCall(live, ours) {
  const [, liveSource, liveNamesOfIt] = live.split(' ');
  const [, source, name] = ours.split(' ');
  return liveSource === source && (liveNamesOfIt === name || liveNamesOfIt?.split(',').includes(name));
}
