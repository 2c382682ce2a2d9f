// Remakes what the tests of the commands compare with: the object of fixtures/ (clang-19) and, in goldens/, what
// llvm-objdump-19 prints of the examples. goldens/manifest.json names the tools.
//
//     node test/cli/remake.mjs

import { execFileSync } from 'node:child_process';
import { readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const here = path.dirname(fileURLToPath(import.meta.url));
const examples = path.join(here, '../../examples');
const goldens = path.join(here, 'goldens');
const headers = `/usr/include/${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu`;
const run = (command, args, cwd) =>
  execFileSync(command, args, { cwd, encoding: 'utf8', maxBuffer: 1 << 26 });

const fixtures = path.join(here, 'fixtures');
for (const source of readdirSync(fixtures).filter((name) => name.endsWith('.bpf.c'))) {
  const output = source.replace(/\.c$/, '.o');
  const options = ['-target', 'bpf', '-mcpu=v3', '-g', '-O2', '-Wall', '-fdebug-compilation-dir=.'];
  run('clang-19', [...options, '-I', headers, '-c', source, '-o', output], fixtures);
  run('llvm-strip-19', ['-g', output], fixtures);
}

// In the folder of the sources, so that llvm-objdump finds them.
const commands = {};
for (const object of readdirSync(examples).filter((name) => name.endsWith('.bpf.o'))) {
  for (const [kind, options] of [
    ['d', ['-d']],
    ['S', ['-d', '-S']],
  ]) {
    const name = object.replace('.bpf.o', `.${kind}.txt`);
    commands[name] = `cd examples && llvm-objdump-19 ${[...options, object].join(' ')}`;
    writeFileSync(path.join(goldens, name), run('llvm-objdump-19', [...options, object], examples));
  }
}
const firstLine = (text) => text.split('\n')[0].trim();
writeFileSync(
  path.join(goldens, 'manifest.json'),
  `${JSON.stringify(
    {
      madeBy: 'test/cli/remake.mjs',
      tools: {
        'llvm-objdump-19': firstLine(run('llvm-objdump-19', ['--version'])),
        'clang-19': firstLine(run('clang-19', ['--version'])),
      },
      commands,
    },
    null,
    2,
  )}\n`,
);
