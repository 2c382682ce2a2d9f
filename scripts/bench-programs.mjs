// Makes bench/programs/programs.json: runs each benchmark program on the live kernel (BPF_PROG_TEST_RUN by bpftool,
// nothing is attached) and records what it returned. Needs Linux, root and bpftool.
//
//     node scripts/bench-programs.mjs           record
//     node scripts/bench-programs.mjs --check   change nothing; exit status 1 when an answer differs

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { release, tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { packets } from '../bench/programs/packets.mjs';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const folder = path.join(root, 'bench/programs');
const target = path.join(folder, 'programs.json');

// name: [program, packet, helperFree, what it measures]; the object is name.bpf.o
const programs = {
  empty: ['empty', 'counting-64', true, 'what one run costs by itself'],
  log2: ['log2_loop', 'counting-64', true, 'log2 loop: 128 integer logarithms, short branches over moves'],
  primes: ['primes', 'counting-64', true, 'primes below 1000 by trial division, 32-bit modulo'],
  division: ['division', 'counting-64', true, '256 unsigned divisions and modulos, 64 and 32 bits'],
  sum: ['sum', 'counting-1496', true, 'sum 1496 B of packet, 64-bit loads'],
  copy: ['copy', 'counting-1496', false, 'copy 1496 B of packet to map value'],
  state_machine: ['state_machine', 'text-256', true, 'state machine over 256 B of text'],
  compare: ['compare', 'twice-60', true, 'compare 60 B strings byte by byte'],
  sort: ['sort', 'ascending-64', true, 'sort 16 on the stack by insertion, worst case'],
  checksum: ['checksum', 'counting-1500', true, 'internet checksum 1500 B, 16-bit loads'],
  siphash: ['siphash', 'counting-128', true, 'siphash-2-4 of 128 B, 64-bit rotates'],
  jhash: ['jhash', 'counting-120', true, 'jhash (lookup3) of 120 B, 32-bit rotates'],
  calls: ['calls', 'counting-64', false, '64 bpf-to-bpf calls'],
  parser: ['parser', 'tcp-64', true, '5-tuple parser'],
  parser64: ['parser64', 'tcp-64', true, 'parser, 64 times in BPF'],
  array_counter: ['array_counter', 'counting-64', false, 'array counter, 64 times'],
  hash_lookup: ['hash_lookup', 'counting-64', false, 'hash lookup, 64 times'],
  hash_update: ['hash_update', 'counting-64', false, 'hash update, 64 times'],
  load_balancer: ['load_balancer', 'tcp-64', false, 'load balancer: parse, 3 maps, rewrite'],
};

const fail = (message) => {
  console.error(message);
  process.exit(1);
};

if (process.platform !== 'linux' || process.getuid() !== 0) fail('The live kernel needs Linux and root.');
const bpftool = spawnSync('bpftool', ['version'], { encoding: 'utf8' });
if (bpftool.error) fail('bpftool is not installed.');

// A bpffs of our own in a mount namespace of our own: nothing outlives the shell.
const run = (object, program, packet, repeat) => {
  const scratch = mkdtempSync(path.join(tmpdir(), 'skep-programs-'));
  try {
    const data = path.join(scratch, 'packet');
    writeFileSync(data, packet);
    const script = `set -e
      mount --make-rprivate / && mkdir "$1/fs" && mount -t bpf none "$1/fs"
      bpftool prog loadall "$2" "$1/fs/programs" >&2
      bpftool --json prog run pinned "$1/fs/programs/$3" data_in "$1/packet" repeat "$4"`;
    const arguments_ = ['-m', 'sh', '-c', script, 'sh', scratch, object, program, String(repeat)];
    const { status, stdout, stderr } = spawnSync('unshare', arguments_, { encoding: 'utf8' });
    if (status !== 0) fail(`${object} does not run: ${(stdout + stderr).slice(-2000)}`);
    return JSON.parse(stdout);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
};

const rows = Object.entries(programs).map(([name, [program, packet, helperFree, measures]]) => {
  const object = path.join(folder, `${name}.bpf.o`);
  const { retval } = run(object, program, packets[packet], 1);
  const again = run(object, program, packets[packet], 20000);
  if (again.retval !== retval) fail(`${name}: the first run returned ${retval}, a later one ${again.retval}`);
  if (retval === 0xffffffff) fail(`${name}: the packet ${packet} is too short for it`);
  console.log(
    `${name.padEnd(14)} ${String(retval >>> 0).padStart(10)} ${String(again.duration).padStart(6)} ns`,
  );
  const size = packets[packet].length;
  return {
    name,
    object: `${name}.bpf.o`,
    program,
    packet,
    size,
    measures,
    helperFree,
    returns: retval >>> 0,
  };
});

const recorded = {
  about:
    'returns: what the program returned in the test run of the live kernel named here, in every run of many',
  madeBy: 'scripts/bench-programs.mjs',
  kernel: `Linux ${release().split('-')[0]} ${process.arch}`,
  tool: bpftool.stdout.split('\n')[0],
  programs: rows,
};
if (process.argv.includes('--check')) {
  const before = JSON.parse(readFileSync(target, 'utf8')).programs;
  const different = rows.filter((row, i) => JSON.stringify(row) !== JSON.stringify(before[i]));
  for (const { name } of different) console.error(`${name}: differs from programs.json`);
  if (different.length > 0 || before.length !== rows.length) process.exit(1);
} else {
  writeFileSync(target, `${JSON.stringify(recorded, null, 2)}\n`);
}
