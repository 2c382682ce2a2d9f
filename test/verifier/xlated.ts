// Programs of ours as a kernel shows them after its rewriting, with prototypes and source lines, as `prog dump xlated linum`
// prints them. What differs from one kernel to the next is replaced by words: ids, tags, addresses.

import path from 'node:path';
import type { Bpf, Fd, ProgDump, ProgInfo, ProgLoadAttr } from '../../src/bpf/bpf.js';
import { dumpXlated, KernelSymbols, readProgram } from '../../src/bpftool/dump/index.js';
import { Btf } from '../../src/btf/index.js';
import { type Shown, show } from '../../src/kernel/shown.js';
import { kallsyms } from '../../src/kernel/symbols.js';
import type { Verdict } from '../../src/kernel/verifier/index.js';
import { objects, sayOfObject, sayOfTexts, verifyingKernel } from './logs.js';

export const TEXTS = 'programs.txt';
/** What may be compared; of one object everything is refused. */
export const all: readonly string[] = [TEXTS, ...objects.filter((file) => !file.endsWith('/bad.bpf.o'))];

/** The programs of an object, or of the texts, that the kernel accepts. */
async function loadAll(kernel: Bpf, name: string): Promise<void> {
  await (name === TEXTS ? sayOfTexts(kernel) : sayOfObject(kernel, name));
}

function watching(kernel: Bpf, loaded: (attr: ProgLoadAttr, fd: Fd) => Promise<void>): Bpf {
  const progLoad: Bpf['progLoad'] = async (attr) => {
    const fd = await kernel.progLoad(attr);
    // Those without a log stand for programs that were refused.
    if (attr.logLevel) await loaded(attr, fd);
    return fd;
  };
  return new Proxy(kernel, {
    get(target, name) {
      const value: unknown = name === 'progLoad' ? progLoad : Reflect.get(target, name);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

/** What Linux shows. */
export async function shownByLinux(linux: Bpf, name: string): Promise<string> {
  let text = '';
  let symbols: KernelSymbols | undefined;
  const kernel = watching(linux, async (attr, fd) => {
    const dump = await linux.progDump(fd);
    // Programs of several functions name them; the others ask for symbols that stay.
    if (!symbols || dump.jitedKsyms.length > 1 || attr.progBtfFd !== undefined) {
      const program = await readProgram(linux, fd);
      symbols = program.symbols;
      text += `== ${attr.name ?? ''}\n${withoutNumbers(dumpXlated(program, options).text())}\n`;
      return;
    }
    const info = await linux.progInfo(fd);
    text += `== ${attr.name ?? ''}\n${withoutNumbers(dumpXlated({ info, dump, symbols }, options).text())}\n`;
  });
  await loadAll(kernel, name);
  return text;
}
/** What Skep shows of the same. */
export async function shownBySkep(name: string): Promise<string> {
  let text = '';
  let verdict: Verdict | undefined;
  const btfs = new Map<Fd, Btf>();
  const verifying = verifyingKernel(2, (heard) => {
    verdict = heard;
  });
  const kernel = watching(verifying, async (attr) => {
    const { progBtfFd, funcInfo, lineInfo } = attr;
    if (progBtfFd !== undefined && !btfs.has(progBtfFd)) {
      btfs.set(progBtfFd, Btf.parse(await verifying.btfData(progBtfFd)));
    }
    const btf = progBtfFd === undefined ? undefined : btfs.get(progBtfFd);
    const shown = await show({
      facts: verdict?.facts,
      xlated: attr.instructions,
      id: 1,
      name: attr.name ?? '',
      tag: '0000000000000000',
      btf: btf && { id: 1, btf },
      funcInfo,
      lineInfo,
    });
    const symbols = KernelSymbols.parse(
      new TextEncoder().encode(kallsyms(shown.functions.map(({ symbol }) => symbol))),
    );
    const program = { info: {} as ProgInfo, dump: dumpOf(shown), btf, symbols };
    text += `== ${attr.name ?? ''}\n${withoutNumbers(dumpXlated(program, options).text())}\n`;
  });
  await loadAll(kernel, name);
  return text;
}

const options = { opcodes: false, linum: true } as const;

export const dumpOf = ({ xlated, funcInfo, lineInfo, functions }: Shown): ProgDump => ({
  xlated,
  funcInfo,
  funcInfoRecSize: 8,
  lineInfo,
  lineInfoRecSize: 16,
  jited: new Uint8Array(),
  jitedKsyms: BigUint64Array.from(functions, ({ symbol }) => symbol.address),
  jitedFuncLens: new Uint32Array(),
  jitedLineInfo: new BigUint64Array(),
  progTags: [],
});

/** Maps by the order in which they appear; words for tags and addresses. */
export function withoutNumbers(text: string): string {
  const maps = new Map<string, number>();
  return text
    .replace(/map\[id:(\d+)\]/g, (_, id: string) => {
      if (!maps.has(id)) maps.set(id, maps.size + 1);
      return `map[${maps.get(id)}]`;
    })
    .replace(/(call \D\w*)#-?\d+$/gm, (whole, name: string) =>
      name.endsWith('bpf_tail_call') ? whole : name,
    )
    .replace(/#bpf_prog_[0-9a-f]{16}_/g, '#')
    .replace(/(\(18\) r\d+ = )0xffff[0-9a-f]{12}$/gm, '$1ADDRESS')
    .replace(/(\(b7\) r0 = )-?\d+\n(.*\n)?(.*r0 = &\(void __percpu \*\)\(r0\))/g, '$1VARIABLE\n$2$3');
}

/** The golden of an object, or of the texts. */
export const goldenFile = (name: string): string =>
  path.join(import.meta.dirname, 'goldens', `${name.replaceAll('/', '-').replace(/\.bpf\.o$/, '')}.xlated`);
