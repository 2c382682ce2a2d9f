// How fast programs are verified, against the kernel of this machine in the same run: `node bench/verifier.mjs [--rounds N]`
// after `npm run build`. The same objects, no log; rounds of both by turns, the median of each.

import { readdirSync, readFileSync } from 'node:fs';
import { release } from 'node:os';
import { parseArgs } from 'node:util';
import { BpfError } from '../dist/bpf/errno.js';
import { Btf } from '../dist/btf/index.js';
import { parseObject } from '../dist/elf/index.js';
import { EmulatedKernel } from '../dist/kernel/kernel.js';
import { kernelTypes } from '../dist/kernel/types/index.js';
import { recordOf } from '../dist/kernel/verifier/records.js';
import { verify } from '../dist/kernel/verifier/verify.js';
import { LinuxKernel } from '../dist/linux/index.js';
import { load } from '../dist/loader/index.js';

const { values } = parseArgs({ options: { rounds: { type: 'string', default: '5' } } });
const rounds = Number(values.rounds);
const root = new URL('..', import.meta.url);
const capabilities = { bpf: true, perfmon: true, netAdmin: true, sysAdmin: true };
const XDP = 6;

const median = (numbers) => numbers.toSorted((a, b) => a - b)[numbers.length >> 1];

/** Verifications of ours: [{ name, run() }] of an object, with the maps that its load made. */
async function ours(spec) {
  const kernel = new EmulatedKernel({ cpus: 2, safety: 'trust' });
  const btfs = new Map();
  const maps = new Map();
  const programs = [];
  const commands = {
    async btfLoad(bytes) {
      const fd = await kernel.btfLoad(bytes);
      btfs.set(fd, Btf.parse(bytes));
      return fd;
    },
    async mapCreate(attr) {
      const fd = await kernel.mapCreate(attr);
      const btf = btfs.get(attr.btfFd);
      const record = btf && attr.btfValueTypeId ? recordOf(btf, attr.btfValueTypeId) : undefined;
      const inner = maps.get(attr.innerMapFd);
      maps.set(fd, { id: fd, name: '', flags: 0, ...attr, frozen: false, btf, inner, record });
      return fd;
    },
    async progLoad(attr) {
      const program = { expectedAttachType: 0, flags: 0, ...attr };
      const environment = {
        map: (fd) => maps.get(fd),
        btf: (fd) => btfs.get(fd),
        kernelTypes,
        capabilities,
        cpus: 2,
        logLevel: 0,
      };
      programs.push({ name: attr.name, run: () => verify(program, environment) });
      return kernel.progLoad({ ...attr, type: XDP, expectedAttachType: 0 });
    },
  };
  const proxy = new Proxy(kernel, {
    get(target, name) {
      const value = commands[name] ?? Reflect.get(target, name);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
  await load(spec, proxy);
  return programs;
}

/** Loads by the live kernel, timed: name to milliseconds. Most of a load is its verification; the JIT is in it too. */
async function linuxTimes(spec) {
  const kernel = new LinuxKernel();
  const times = new Map();
  const progLoad = async (attr) => {
    const start = performance.now();
    const fd = await kernel.progLoad(attr);
    times.set(attr.name, performance.now() - start);
    return fd;
  };
  const proxy = new Proxy(kernel, {
    get(target, name) {
      const value = name === 'progLoad' ? progLoad : Reflect.get(target, name);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
  try {
    await (await load(spec, proxy)).close();
  } finally {
    kernel[Symbol.dispose]();
  }
  return times;
}

let linux = process.platform === 'linux' && process.getuid() === 0;
const rows = [];
for (const folder of ['examples', 'bench/programs']) {
  for (const file of readdirSync(new URL(folder, root)).filter((name) => name.endsWith('.bpf.o'))) {
    const open = () => parseObject(readFileSync(new URL(`${folder}/${file}`, root)), { name: file });
    const programs = await ours(open());
    const times = programs.map(() => []);
    const kernelTimes = programs.map(() => []);
    const processed = [];
    for (let round = 0; round < rounds; round++) {
      for (const [i, { run }] of programs.entries()) {
        const start = performance.now();
        processed[i] = run().processed;
        times[i].push(performance.now() - start);
      }
      if (!linux) continue;
      try {
        const round = await linuxTimes(open());
        for (const [i, { name }] of programs.entries()) kernelTimes[i].push(round.get(name));
      } catch (error) {
        if (!(error.cause instanceof BpfError || error instanceof BpfError)) throw error;
        linux = false;
        console.error(`The kernel of this machine takes no part: ${error.message}`);
      }
    }
    for (const [i, { name }] of programs.entries()) {
      rows.push({ name, processed: processed[i], ours: median(times[i]), kernel: median(kernelTimes[i]) });
    }
  }
}

const speed = (n, milliseconds) => (n / 1000 / milliseconds).toFixed(2);
const line = (name, n, mine, kernel) =>
  `${name.padEnd(22)} ${String(n).padStart(8)} ${speed(n, mine).padStart(8)} ${
    kernel === undefined ? '' : `${speed(n, kernel).padStart(8)} ${(kernel / mine).toFixed(2).padStart(7)}`
  }`;
console.log(
  `Node ${process.version}${linux ? `, Linux ${release()}` : ''}, ${rounds} rounds; million instructions per second`,
);
console.log(`${'program'.padEnd(22)} verified     ours    Linux   ratio`);
for (const { name, processed, ours, kernel } of rows) console.log(line(name, processed, ours, kernel));
const sum = (of) => rows.reduce((total, row) => total + of(row), 0);
console.log(
  line(
    'all',
    sum(({ processed }) => processed),
    sum(({ ours }) => ours),
    linux ? sum(({ kernel }) => kernel) : undefined,
  ),
);
