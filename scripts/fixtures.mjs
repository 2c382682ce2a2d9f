// Rebuilds every committed BPF object (examples/, bench/programs/, test/live/objects/) from the C source beside it with clang-19.
//
//     npm run fixtures              rebuild them all
//     npm run fixtures -- --check   change nothing; say what differs, exit status 1 when something does

import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const folders = ['examples', 'examples/tour', 'bench/programs', 'test/live/objects'];
const compiler = 'clang-19';
const asmHeaders = `/usr/include/${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu`;

const fail = (message) => {
  console.error(message);
  process.exit(1);
};

const unknown = process.argv.slice(2).filter((argument) => argument !== '--check');
if (unknown.length > 0) fail(`Unknown argument ${unknown[0]}. Usage: node scripts/fixtures.mjs [--check]`);
const check = process.argv.includes('--check');

const version = spawnSync(compiler, ['--version'], { encoding: 'utf8' });
if (version.error) {
  fail(
    `${compiler} is not installed, and the objects must come from this one version to stay the same byte for byte.\n` +
      'On Debian or Ubuntu: apt-get install clang-19 libbpf-dev linux-libc-dev (https://apt.llvm.org has clang-19).',
  );
}
if (!existsSync('/usr/include/bpf/bpf_helpers.h')) {
  fail(
    'The headers of libbpf are missing (bpf/bpf_helpers.h). On Debian or Ubuntu: apt-get install libbpf-dev',
  );
}

/** The compiler that an object's debug information names. */
const producer = (object) => /[\x20-\x7e]*clang version [\x20-\x7e]+/.exec(object.toString('latin1'))?.[0];

// Compiled in the source's own folder by relative name, so that no path of this machine gets into the object.
const compile = (folder, name, output) =>
  spawnSync(
    compiler,
    [
      ...['-target', 'bpf', '-mcpu=v3', '-g', '-O2', '-std=gnu17', '-Wall', '-Wextra', '-Werror'],
      ...['-ffile-prefix-map', '-fdebug-prefix-map'].map((option) => `${option}=${folder}=.`),
      ...['-fdebug-compilation-dir=.', '-I', asmHeaders, '-c', name, '-o', output],
    ],
    { cwd: folder, encoding: 'utf8' },
  );

const scratch = mkdtempSync(path.join(tmpdir(), 'skep-fixtures-'));
let objects = 0;
const changed = [];
const broken = [];
try {
  for (const folder of folders) {
    const sources = readdirSync(path.join(root, folder)).filter((name) => name.endsWith('.bpf.c'));
    for (const name of sources) {
      const object = path.join(folder, name.replace(/\.c$/, '.o'));
      const output = path.join(scratch, path.basename(object));
      const { status, stderr } = compile(path.join(root, folder), name, output);
      if (status !== 0) {
        broken.push(object);
        console.error(stderr.trimEnd());
        continue;
      }
      objects++;
      const fresh = readFileSync(output);
      const old = existsSync(path.join(root, object)) ? readFileSync(path.join(root, object)) : undefined;
      if (old?.equals(fresh)) continue;
      changed.push(object);
      if (!check) writeFileSync(path.join(root, object), fresh);
      const maker = old && producer(old);
      const why = maker && maker !== producer(fresh) ? `, it was made by ${maker}` : '';
      console.log(`${object}: ${old ? 'differs' : 'is missing'}${why}${check ? '' : ', written'}`);
    }
    const orphans = readdirSync(path.join(root, folder))
      .filter((name) => name.endsWith('.bpf.o') && !sources.includes(name.replace(/\.o$/, '.c')))
      .map((name) => path.join(folder, name));
    for (const object of orphans) {
      broken.push(object);
      console.error(`${object}: has no source beside it`);
    }
  }
} finally {
  rmSync(scratch, { recursive: true, force: true });
}

console.log(`${objects} objects from ${version.stdout.split('\n')[0]}: ${changed.length} changed`);
if (broken.length > 0 || (check && changed.length > 0)) process.exit(1);
