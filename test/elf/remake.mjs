// Remakes what the tests of the object reader compare with: objects from the sources in fixtures/ (clang-19),
// and goldens from llvm-readelf-19, libbpf, bpftool and the kernel that runs this.
//
//     node test/elf/remake.mjs               everything (needs root for the kernel: programs are loaded, not attached)
//     node test/elf/remake.mjs --objects     only the objects
//
// Objects come out the same byte for byte from the same clang. manifest.json says which tools made what.

import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const here = path.dirname(fileURLToPath(import.meta.url));
const fixtures = path.join(here, 'fixtures');
const objects = path.join(here, 'objects');
const goldens = path.join(here, 'goldens');
const examples = path.join(here, '../../examples');
const headers = `/usr/include/${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu`;

// How each source is compiled; the first is the default.
const variants = {
  '': ['-target', 'bpfel', '-mcpu=v3', '-g'],
  '.v2-nodebug': ['-target', 'bpfel', '-mcpu=v2'],
  '.v1': ['-target', 'bpfel', '-g'],
  '.v4': ['-target', 'bpfel', '-mcpu=v4', '-g'],
  '.eb': ['-target', 'bpfeb', '-mcpu=v3', '-g'],
  '.eb-v2-nodebug': ['-target', 'bpfeb', '-mcpu=v2'],
};
const wanted = {
  subprograms: ['', '.v2-nodebug', '.v4', '.eb', '.eb-v2-nodebug'],
  variables: ['', '.v2-nodebug', '.v4', '.eb', '.eb-v2-nodebug'],
  hello: ['.v1'],
  callbacks: ['', '.v4', '.eb'],
  maps: ['', '.eb'],
  externs: ['', '.eb'],
  legacy: ['', '.v2-nodebug', '.eb-v2-nodebug'],
};
// Objects that libbpf's static linker wrote again: it fills in what clang leaves open in BTF.
const linked = ['subprograms', 'variables', 'maps'];

const run = (command, args, options = {}) =>
  execFileSync(command, args, { encoding: 'utf8', maxBuffer: 1 << 28, ...options });
// One line for each key, so that a change can be read.
const write = (name, value) => {
  const lines = Object.entries(value).map(([key, it]) => `${JSON.stringify(key)}: ${JSON.stringify(it)}`);
  writeFileSync(path.join(goldens, name), `{\n${lines.join(',\n')}\n}\n`);
};

function makeObjects() {
  rmSync(objects, { recursive: true, force: true });
  mkdirSync(objects);
  for (const source of readdirSync(fixtures).filter((name) => name.endsWith('.bpf.c'))) {
    const name = source.replace('.bpf.c', '');
    for (const variant of wanted[name] ?? ['']) {
      const output = path.join(objects, `${name}${variant}.bpf.o`);
      const common = ['-O2', '-std=gnu17', '-Wall', '-I', headers, '-fdebug-compilation-dir=.'];
      run('clang-19', [...variants[variant], ...common, '-c', source, '-o', output], { cwd: fixtures });
      // DWARF is of no use to a loader and most of the file; -g keeps .BTF.
      run('llvm-strip-19', ['-g', output]);
    }
  }
  for (const name of linked) {
    run('bpftool', ['gen', 'object', `${name}.linked.bpf.o`, `${name}.bpf.o`], { cwd: objects });
  }
}

function recordReadelf() {
  const golden = {};
  for (const file of readdirSync(objects)) {
    const json = run('llvm-readelf-19', [
      ...['--elf-output-style=JSON', '--sections', '--symbols', '--relocations'],
      path.join(objects, file),
    ]);
    const [parsed] = JSON.parse(json);
    golden[file] = {
      sections: parsed.Sections.map(({ Section: s }) => [
        s.Name.Name,
        s.Type.Value,
        s.Flags.Value,
        s.Offset,
        s.Size,
        s.Link,
        s.Info,
        s.AddressAlignment,
        s.EntrySize,
      ]),
      symbols: parsed.Symbols.map(({ Symbol: s }) => [
        s.Name.Name,
        s.Value,
        s.Size,
        s.Binding.Value,
        s.Type.Value,
        s.Other.Value,
        s.Section.Value,
      ]),
      relocations: parsed.Relocations.map(({ SectionIndex, Relocs }) => [
        SectionIndex,
        Relocs.map(({ Relocation: r }) => [r.Offset, r.Type.Name, r.Symbol.Name]),
      ]),
    };
  }
  write('readelf.json', golden);
}

// What libbpf itself says about section names, through its own function.
async function recordSectionNames() {
  const { default: koffi } = await import('koffi');
  const { sectionDefinitions } = await import('../../dist/elf/sections.js');
  const libbpf = koffi.load('libbpf.so.1');
  libbpf.func('void *libbpf_set_print(void *fn)')(null);
  const byName = libbpf.func(
    'int libbpf_prog_type_by_name(const char *name, _Out_ int *type, _Out_ int *attach)',
  );
  const names = sectionDefinitions.flatMap(({ name }) => [name, `${name}/target`, `${name}_suffix`]);
  names.push(
    'xdp/firewall',
    'classifier/ingress',
    'kprobe_x',
    'kprobe/',
    'maps',
    '.text',
    'cgroup/skb/egress',
  );
  const golden = {};
  for (const name of names) {
    const type = [0];
    const attach = [0];
    golden[name] = byName(name, type, attach) === 0 ? [type[0], attach[0]] : null;
  }
  write('section-names.json', golden);
  return run('dpkg-query', ['-W', 'libbpf1']).trim().split('\t').at(-1);
}

// (Not those whose instructions depend on the kernel's own types: core, kfuncs; nor those that libbpf refuses.)
// Loads each object with libbpf (bpftool) into a bpffs of its own and asks the kernel what it has got.
function recordLive() {
  const files = readdirSync(objects)
    .filter(
      (file) =>
        !/\.eb|legacy|early|pointers|static-program|single|core|kfuncs|ksyms|sections|custom-bss/.test(file),
    )
    .map((file) => path.join(objects, file));
  for (const file of readdirSync(examples)) {
    if (file.endsWith('.bpf.o')) files.push(path.join(examples, file));
  }
  const golden = {};
  for (const file of files) {
    const script = `
      mount -t bpf bpf /sys/fs/bpf && mkdir /sys/fs/bpf/programs || exit 1
      bpftool prog loadall "$1" /sys/fs/bpf/programs pinmaps /sys/fs/bpf >&2 || exit 1
      for p in /sys/fs/bpf/programs/*; do echo "p $(basename "$p") $(bpftool -j prog show pinned "$p")"; done
      for m in /sys/fs/bpf/*; do [ -f "$m" ] && echo "m $(basename "$m") $(bpftool -j map show pinned "$m")"; done; true`;
    const { status, stdout, stderr } = spawnSync('unshare', ['-m', 'sh', '-c', script, 'sh', file], {
      encoding: 'utf8',
    });
    if (status !== 0) throw new Error(`${file}: ${stderr}`);
    const entry = { programs: {}, maps: {} };
    for (const line of stdout.trim().split('\n')) {
      const [kind, name, json] = line.match(/^(\w) (\S+) (.*)$/)?.slice(1) ?? [];
      if (json === undefined) continue;
      const it = JSON.parse(json);
      if (kind === 'p') entry.programs[name] = { type: it.type, tag: it.tag };
      else if (it.name !== undefined) {
        // A fresh bpffs has links in it too (maps.debug), which are no maps.
        entry.maps[it.name] = {
          type: it.type,
          flags: it.flags,
          keySize: it.bytes_key,
          valueSize: it.bytes_value,
          maxEntries: it.max_entries,
          frozen: it.frozen ?? 0,
        };
      }
    }
    golden[path.relative(here, file)] = entry;
  }
  write('live.json', golden);
}

mkdirSync(goldens, { recursive: true });
makeObjects();
if (!process.argv.includes('--objects')) {
  recordReadelf();
  const libbpf = await recordSectionNames();
  recordLive();
  const first = (command) =>
    run(command, ['--version'])
      .split('\n')
      .find((line) => /version/.test(line))
      ?.trim();
  write('manifest.json', {
    objects: `${first('clang-19')}; *.linked.bpf.o by bpftool gen object`,
    'readelf.json': `llvm-readelf-19, ${first('llvm-readelf-19')}`,
    'section-names.json': `libbpf_prog_type_by_name of libbpf ${libbpf}; [program type, attach type] or null`,
    'live.json': `Linux ${run('uname', ['-r']).trim()}, loaded by ${run('bpftool', ['version']).split('\n')[0]}`,
  });
}
