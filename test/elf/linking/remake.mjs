// Remakes the objects that are linked in tests (clang-19), and what bpftool makes of them, in every order.
//
//     node test/elf/linking/remake.mjs

import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const here = path.dirname(fileURLToPath(import.meta.url));
const run = (command, ...args) => execFileSync(command, args, { cwd: here, encoding: 'utf8' });

const headers = `/usr/include/${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu`;
function compile(source, output, ...flags) {
  const common = ['-O2', '-g', '-std=gnu17', '-Wall', '-I', headers, '-fdebug-compilation-dir=.'];
  run('clang-19', '-target', 'bpfel', '-mcpu=v3', ...common, ...flags, '-c', source, '-o', output);
  run('llvm-strip-19', '-g', output);
}
for (const name of ['application', 'library', 'tracer']) compile(`${name}.bpf.c`, `${name}.bpf.o`);
for (const name of ['variable', 'map', 'function']) {
  compile('strangers.bpf.c', `stranger-${name}.bpf.o`, `-D${name.toUpperCase()}`);
}

const goldens = path.join(here, 'goldens');
rmSync(goldens, { recursive: true, force: true });
mkdirSync(goldens);
const links = [
  ['application', 'library'],
  ['library', 'application'],
  ['application', 'library', 'tracer'],
  ['tracer', 'library'],
];
for (const names of links) {
  const inputs = names.map((name) => `${name}.bpf.o`);
  run('bpftool', 'gen', 'object', path.join('goldens', `${names.join('+')}.bpf.o`), ...inputs);
}
const versions = {
  bpftool: run('bpftool', 'version').trim(),
  clang: run('clang-19', '--version').split('\n')[0],
};
writeFileSync(path.join(goldens, 'manifest.json'), `${JSON.stringify({ versions, links }, null, 2)}\n`);
