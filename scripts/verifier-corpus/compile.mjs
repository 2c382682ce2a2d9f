// The objects: every set of sources compiled with clang-19 as the selftests' Makefile does it. What does not compile is
// remembered with the compiler's words and not tried again.

import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { include, objects, selftests, sources } from './places.mjs';

export const CLANG = process.env.CLANG || 'clang-19';

/** Programs that the optimiser breaks otherwise (the selftests' Makefile). */
const NO_STRICT_ALIASING = new Set(
  `bind4_prog bind6_prog dynptr_fail linked_list_fail map_kptr_fail syscall test_pkt_md_access test_sk_lookup
   timer_crash test_global_func9 verifier_nocsr`.split(/\s+/),
);
const NO_INLINE = new Set(['test_l4lb_noinline', 'test_xdp_noinline']);

const sourcesOf = (folder, wanted) =>
  readdirSync(folder)
    .filter((name) => name.endsWith('.c') && wanted(name))
    .map((name) => ({ name: name.replace(/(\.bpf)?\.c$/, ''), file: path.join(folder, name) }));

const progs = path.join(selftests, 'progs');
const tagged = (name) =>
  /\b__(success|failure|msg|retval)(_unpriv)?\b/.test(readFileSync(path.join(progs, name), 'utf8'));
const isVerifier = (name) => name.startsWith('verifier_');

/** The sets, from the one that counts most to the rest. */
export const sets = {
  verifier: () => sourcesOf(progs, isVerifier),
  extended: () => sourcesOf(progs, (name) => !isVerifier(name) && tagged(name)),
  selftests: () => sourcesOf(progs, (name) => !isVerifier(name) && !tagged(name)),
  samples: () => sourcesOf(path.join(sources, 'samples/bpf'), (name) => /(\.bpf|_kern)\.c$/.test(name)),
  real: () => given('real'),
};

/** Objects that somebody has put there: programs of other projects, as their own build made them. */
function given(set) {
  const folder = path.join(objects, set);
  return readdirSync(folder)
    .filter((name) => name.endsWith('.o'))
    .map((name) => ({ name: name.replace(/(\.bpf)?\.o$/, ''), object: path.join(folder, name) }));
}

/** Samples use some of the kernel's own words. */
const SAMPLES = ['u8', 'u16', 'u32', 'u64'].map((type) => `-D${type}=__${type}`);

const flags = (set, name, cpu) => [
  '-g',
  '-O2',
  '--target=bpf',
  `-mcpu=${cpu}`,
  '-w',
  '-D__TARGET_ARCH_x86',
  '-DENABLE_ATOMICS_TESTS',
  ...(NO_STRICT_ALIASING.has(name) ? ['-fno-strict-aliasing'] : []),
  ...(set === 'samples' ? [...SAMPLES, '-fno-builtin', '-DKBUILD_MODNAME="sample"'] : []),
  ...(NO_INLINE.has(name) ? ['-fno-inline'] : []),
  `-I${include}`,
  `-I${selftests}`,
  `-I${path.join(sources, 'tools/include/uapi')}`,
  `-I${path.join(sources, 'tools/testing/selftests')}`,
  '-idirafter',
  '/usr/lib/llvm-19/lib/clang/19/include',
  '-idirafter',
  '/usr/include/x86_64-linux-gnu',
  '-idirafter',
  '/usr/include',
];

const clang = (args) =>
  new Promise((resolve) => {
    const child = spawn(CLANG, args, { stdio: ['ignore', 'ignore', 'pipe'] });
    let words = '';
    child.stderr.on('data', (data) => {
      words += data;
    });
    child.on('error', (error) => resolve({ status: -1, words: error.message }));
    child.on('close', (status) => resolve({ status, words }));
  });

/** Which instruction sets are tried, and with which of the macros that settle what vmlinux.h declares. */
const ATTEMPTS = [
  ['v3', []],
  ['v3', ['-DBPF_NO_KFUNC_PROTOTYPES']],
  ['v4', ['-DBPF_NO_KFUNC_PROTOTYPES']],
];

async function compile(set, { name, file, object: given }, folder) {
  if (given !== undefined) return { name, object: given };
  const object = path.join(folder, `${name}.o`);
  const refused = path.join(folder, `${name}.failed`);
  if (existsSync(object)) return { name, object };
  if (existsSync(refused)) return { name, failed: readFileSync(refused, 'utf8') };
  let words = '';
  for (const [cpu, more] of ATTEMPTS) {
    const part = `${object}.part`;
    const result = await clang([...flags(set, name, cpu), ...more, '-c', file, '-o', part]);
    if (result.status === 0) {
      renameSync(part, object);
      return { name, object };
    }
    words ||= result.words;
  }
  writeFileSync(refused, words);
  return { name, failed: words };
}

/** Compiles a set; [{ name, object } or { name, failed }] by name. `only`: a name or undefined for all. */
export async function compileSet(set, only) {
  const folder = path.join(objects, set);
  mkdirSync(folder, { recursive: true });
  const waiting = sets[set]().filter(({ name }) => only === undefined || name === only);
  const results = [];
  const worker = async () => {
    for (let next = waiting.shift(); next; next = waiting.shift())
      results.push(await compile(set, next, folder));
  };
  await Promise.all(Array.from({ length: Math.min(2, availableParallelism()) }, worker));
  return results.sort((a, b) => (a.name < b.name ? -1 : 1));
}
