// Linux's sources from Debian's source package, and the headers that the selftests are compiled with. Nothing of it
// comes into the repository.

import { spawnSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { fail, include, root, selftests, sources } from './places.mjs';

const PACKAGE = 'linux-source-6.12';

/** What the corpus needs, and what one reads beside it. */
const WANTED = [
  'tools/testing/selftests/bpf',
  'tools/testing/selftests/*.h',
  'tools/lib',
  'tools/include',
  'tools/bpf',
  'tools/scripts',
  'kernel/bpf',
  'kernel/trace/bpf_trace.c',
  'kernel/cgroup',
  'include',
  'samples/bpf',
  'net/core/filter.c',
  'net/bpf',
  'lib/test_bpf.c',
  'scripts/bpf_doc.py',
  'security/bpf',
];

function run(command, args, options = {}) {
  const result = spawnSync(command, args, { encoding: 'utf8', maxBuffer: 1 << 28, ...options });
  if (result.error) fail(`${command} is needed: ${result.error.message}`);
  if (result.status !== 0) fail(`${command} ${args.join(' ')} failed:\n${result.stderr}`);
  return result.stdout;
}

/** Downloads and unpacks what is not there yet. */
export function fetchSources() {
  if (existsSync(path.join(selftests, 'progs'))) return;
  const folder = path.join(root, 'deb');
  mkdirSync(folder, { recursive: true });
  const packageFile = () => readdirSync(folder).find((name) => name.endsWith('.deb'));
  if (!packageFile()) {
    console.error(`Fetching ${PACKAGE} (150 MB) into ${folder}`);
    run('apt-get', ['download', PACKAGE], { cwd: folder });
  }
  console.error(`Unpacking into ${sources}`);
  const target = `${sources}.part`;
  mkdirSync(target, { recursive: true });
  const members = WANTED.map((name) => `'${PACKAGE}/${name}'`).join(' ');
  run('sh', [
    '-ec',
    `dpkg-deb --fsys-tarfile "$1" | tar -xO ./usr/src/${PACKAGE}.tar.xz |
       tar -xJ -C "$2" --strip-components=1 --wildcards ${members}`,
    'sh',
    path.join(folder, packageFile()),
    target,
  ]);
  renameSync(target, sources);
}

/** vmlinux.h of the running kernel, libbpf's headers, and the helpers' declarations. */
export function makeHeaders() {
  if (existsSync(path.join(include, 'bpf/bpf_helper_defs.h'))) return;
  mkdirSync(path.join(include, 'bpf'), { recursive: true });
  const vmlinux = run('bpftool', ['btf', 'dump', 'file', '/sys/kernel/btf/vmlinux', 'format', 'c']);
  writeFileSync(path.join(include, 'vmlinux.h'), vmlinux);
  const libbpf = path.join(sources, 'tools/lib/bpf');
  for (const name of readdirSync(libbpf)) {
    if (name.endsWith('.h')) copyFileSync(path.join(libbpf, name), path.join(include, 'bpf', name));
  }
  const header = path.join(sources, 'tools/include/uapi/linux/bpf.h');
  const helpers = run('python3', [path.join(sources, 'scripts/bpf_doc.py'), '--header', '--file', header]);
  // Samples write <uapi/linux/bpf.h> as kernel code does.
  mkdirSync(path.join(include, 'uapi'), { recursive: true });
  symlinkSync('/usr/include/linux', path.join(include, 'uapi/linux'));
  writeFileSync(path.join(include, 'bpf/bpf_helper_defs.h'), helpers);
}
