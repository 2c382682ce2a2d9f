// Which program of an object runs on packets, and what is loaded with it.

import { SkepError } from '../base/error.js';
import { ProgType, progTypeName } from '../bpf/types.js';
import type { CollectionSpec, ProgramSpec } from '../elf/spec.js';
import { UsageError } from './errors.js';

/** `firewall` for `examples/firewall.bpf.o`. */
export const objectName = (path: string): string =>
  (path.split(/[\\/]/).at(-1) ?? path).replace(/\.o$/, '').replace(/\.bpf$/, '');

/** Names of the programs to load: the chosen one, and the other XDP programs that load by themselves (tail calls). */
export const loadedWith = (spec: CollectionSpec, program: ProgramSpec): string[] =>
  spec.programs
    .filter((candidate) => candidate === program || (candidate.autoload && candidate.type === ProgType.Xdp))
    .map(({ name }) => name);

/** The program that was asked for, or the only one that can run on packets. */
export function chooseProgram(spec: CollectionSpec, name: string | undefined, object: string): ProgramSpec {
  const candidates = spec.programs.filter(({ type }) => type === ProgType.Xdp);
  const list = candidates.map((program) => program.name).join(', ');
  if (name !== undefined) {
    const program = spec.programs.find((candidate) => candidate.name === name);
    if (program === undefined) {
      throw new UsageError(`there is no program '${name}'`, {
        where: object,
        hint: `Programs: ${spec.programs.map((known) => known.name).join(', ') || 'none'}.`,
      });
    }
    if (program.type === ProgType.Xdp) return program;
    const type = progTypeName(program.type) ?? String(program.type);
    throw new UsageError(`program '${name}' (SEC("${program.section}")) is of type ${type}, not xdp`, {
      where: object,
      hint: list ? `XDP programs here: ${list}.` : 'Only XDP programs run on captures so far.',
    });
  }
  const automatic = candidates.filter(({ autoload }) => autoload);
  const [program, second] = automatic.length > 0 ? automatic : candidates;
  if (program === undefined) {
    const others = spec.programs.map((other) => `${other.name} (SEC("${other.section}"))`).join(', ');
    throw new SkepError('there is no XDP program in it', {
      where: object,
      hint: others ? `It has ${others}; only XDP programs run on captures so far.` : 'It has no programs.',
    });
  }
  if (second !== undefined) {
    throw new UsageError(`there are ${candidates.length} XDP programs in it: ${list}`, {
      where: object,
      hint: `Choose one: --program ${program.name}`,
    });
  }
  return program;
}
