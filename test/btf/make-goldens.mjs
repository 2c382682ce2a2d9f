// Remakes the goldens of this folder: compiles the C files with clang, keeps their .BTF and .BTF.ext
// sections, and records what bpftool and llvm-objdump print for them. Run as root on Linux (the values are
// loaded and dumped through a private bpffs that is unmounted again): node test/btf/make-goldens.mjs
//
// The folder goldens/bpftool-7.8 is not made here: see its manifest.

import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = fileURLToPath(new URL('.', import.meta.url));
const goldens = join(here, 'goldens');
const temporary = mkdtempSync(join(tmpdir(), 'skep-btf-'));
const run = (command, ...args) => execFileSync(command, args, { cwd: here, maxBuffer: 1 << 28 });
const keep = (name, contents) => writeFileSync(join(goldens, name), contents);

const CLANG = ['-g', '-O2', '-mcpu=v3', '-fdebug-compilation-dir=.', '-c'];

function compile(source, target, name) {
  const object = join(temporary, `${name}.o`);
  run('clang-19', '-target', target, ...CLANG, source, '-o', object);
  const sections = ['.BTF', '.BTF.ext'].map((section) => {
    const file = join(goldens, `${name}${section === '.BTF' ? '.btf' : '.btfext'}`);
    return `--dump-section=${section}=${file}`;
  });
  run('llvm-objcopy-19', ...sections, object, join(temporary, 'unused.o'));
  return object;
}

function dumpTypes(name) {
  const file = join(goldens, `${name}.btf`);
  keep(`${name}.raw.txt`, run('bpftool', 'btf', 'dump', 'file', file, 'format', 'raw'));
  keep(`${name}.raw.json.txt`, run('bpftool', '-j', 'btf', 'dump', 'file', file, 'format', 'raw'));
  keep(`${name}.raw.pretty.txt`, run('bpftool', '-p', 'btf', 'dump', 'file', file, 'format', 'raw'));
  keep(`${name}.h`, run('bpftool', 'btf', 'dump', 'file', file, 'format', 'c'));
}

mkdirSync(goldens, { recursive: true });

compile('kinds.c', 'bpf', 'kinds');
compile('kinds.c', 'bpfeb', 'kinds-be');
dumpTypes('kinds');
dumpTypes('kinds-be');

const core = compile('core.bpf.c', 'bpf', 'core');
run('llvm-strip-19', '-g', core);
const disassembly = run('llvm-objdump-19', '-d', '-l', '-r', '--no-show-raw-insn', core).toString();
const source = run('llvm-objdump-19', '-d', '-S', '-r', '--no-show-raw-insn', core).toString();
keep('core.lines.txt', disassembly.replace(/^.*file format/m, 'core.o:\tfile format'));
keep('core.source.txt', source.replace(/^.*file format/m, 'core.o:\tfile format'));

const values = compile('values.bpf.c', 'bpf', 'values');
const bpffs = join(temporary, 'bpffs');
mkdirSync(bpffs);
run('mount', '-t', 'bpf', 'bpf', bpffs);
try {
  run('bpftool', 'prog', 'loadall', values, join(bpffs, 'programs'), 'pinmaps', join(bpffs, 'maps'));
  const key = [7, 0, 0, 0, ...Buffer.from('abc\0\0\0\0\0')];
  const value = new Uint8Array(56);
  value.set([1, 0, 0, 0, 0, 0, 0, 0x80, 0xfb, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
  value.set([0x8b, 0xc7, 0x34, 0x12, 0x99, 0x98, 0x97, 0x96, 0x95, 0x94, 0x93, 0x92, 0x34, 0x12], 16);
  value.set([4, 3, 2, 1], 36);
  const bytes = (list) => [...list].map(String);
  const hash = join(bpffs, 'maps', 'hash');
  run('bpftool', 'map', 'update', 'pinned', hash, 'key', ...bytes(key), 'value', ...bytes(value));
  const loaded = run('bpftool', 'btf', 'dump', 'map', 'pinned', hash, 'all');
  keep('values.loaded.raw.txt', loaded);
  for (const map of ['hash', 'values_data', 'values_bss', 'values_rodata']) {
    const pinned = join(bpffs, 'maps', map);
    keep(`${map}.map.txt`, run('bpftool', 'map', 'dump', 'pinned', pinned));
    keep(`${map}.map.json.txt`, run('bpftool', '-j', 'map', 'dump', 'pinned', pinned));
    keep(`${map}.map.pretty.txt`, run('bpftool', '-p', 'map', 'dump', 'pinned', pinned));
  }
} finally {
  run('umount', bpffs);
  rmSync(temporary, { recursive: true });
}

const firstLine = (command, ...args) =>
  run(command, ...args)
    .toString()
    .trim()
    .split('\n')[0];
keep(
  'manifest.json',
  `${JSON.stringify(
    {
      what: 'Sections of the C files one folder up, and what these tools print for them. Made by make-goldens.mjs.',
      clang: firstLine('clang-19', '--version'),
      'clang arguments': ['-target bpf (bpfeb for *-be)', ...CLANG].join(' '),
      bpftool: firstLine('bpftool', 'version'),
      'llvm-objdump': run('llvm-objdump-19', '--version')
        .toString()
        .match(/LLVM version .*/)[0],
      files: {
        '*.btf, *.btfext': 'the sections .BTF and .BTF.ext',
        '*.raw.txt, *.raw.json.txt, *.raw.pretty.txt': 'bpftool [-j|-p] btf dump file X.btf format raw',
        '*.h': 'bpftool btf dump file X.btf format c',
        'values.loaded.raw.txt':
          'bpftool btf dump map pinned X all: the types as loaded, with the offsets of variables',
        '*.map.txt, *.map.json.txt, *.map.pretty.txt': 'bpftool [-j|-p] map dump, of values.bpf.c loaded',
        'core.lines.txt': 'llvm-objdump -d -l -r --no-show-raw-insn, without DWARF',
        'core.source.txt': 'llvm-objdump -d -S -r --no-show-raw-insn, without DWARF',
      },
    },
    null,
    2,
  )}\n`,
);
