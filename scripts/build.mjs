// Builds the package into dist/: the runtime (AssemblyScript -> WebAssembly -> a TypeScript module that
// holds it with its layout constants), then TypeScript. What is up to date is not built again.

import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
process.chdir(root);
const require = createRequire(import.meta.url);
const generated = 'src/kernel/memory/runtime.generated.ts';

/** Newest modification time below the given files and folders. */
const newest = (...places) =>
  Math.max(
    ...places.map((place) => {
      const stat = statSync(place);
      if (!stat.isDirectory()) return stat.mtimeMs;
      return Math.max(0, ...readdirSync(place).map((name) => newest(path.join(place, name))));
    }),
  );

const upToDate = (target, ...sources) => existsSync(target) && statSync(target).mtimeMs >= newest(...sources);

/** A constant as TypeScript: 64-bit ones are BigInts without a sign. */
const literal = (value) =>
  typeof value === 'bigint' ? `0x${BigInt.asUintN(64, value).toString(16)}n` : value;

const run = (bin, ...args) => {
  const { status, error } = spawnSync(process.execPath, [bin, ...args], { stdio: 'inherit' });
  if (error) throw error;
  if (status !== 0) process.exit(status ?? 1);
};

/**
 * Joins the command's modules, and those of the packages that it uses, into a few files: Node takes about as long to
 * find a hundred small ones as the command takes to answer. What a command does not need stays in files of its own, loaded when it runs.
 */
const bundleCommand = async (dist) => {
  const { build } = await import('esbuild');
  const out = `${dist}-cli`;
  await build({
    entryPoints: [`${dist}/cli/main.js`],
    outdir: out,
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    // What the real kernel needs is loaded only there.
    external: ['koffi'],
    minifySyntax: true,
    minifyWhitespace: true,
    legalComments: 'inline',
    // The packages that are CommonJS ask for Node's own modules.
    banner: {
      js: "import { createRequire as makeRequire } from 'node:module'; const require = makeRequire(import.meta.url);",
    },
    logLevel: 'warning',
  });
  rmSync(`${dist}/cli`, { recursive: true });
  renameSync(out, `${dist}/cli`);
};

if (!upToDate(generated, 'runtime', 'scripts/build.mjs')) {
  mkdirSync('build', { recursive: true });
  const asc = path.join(path.dirname(require.resolve('assemblyscript/package.json')), 'bin/asc.js');
  run(asc, '--config', 'runtime/asconfig.json');
  const bytes = readFileSync('build/runtime.wasm');
  const module = new WebAssembly.Module(bytes);
  const imports = { env: { memory: new WebAssembly.Memory({ initial: 16 }) } };
  for (const { module: from, name, kind } of WebAssembly.Module.imports(module)) {
    imports[from] ??= {};
    if (kind === 'function') imports[from][name] = () => 0;
  }
  const { exports } = new WebAssembly.Instance(module, imports);
  const constants = Object.entries(exports).filter(([, value]) => value instanceof WebAssembly.Global);
  const functions = WebAssembly.Module.exports(module).filter((entry) => entry.kind === 'function');
  writeFileSync(
    generated,
    `// Made by scripts/build.mjs from runtime/: do not edit.

/** Sizes, offsets and numbers that runtime/layout.ts defines. */
export const layout = {
${constants.map(([name, { value }]) => `  ${name}: ${literal(value)},`).join('\n')}
} as const;

/** Names of the functions that the runtime exports. */
export type RuntimeFunction =
${functions.map(({ name }) => `  | '${name}'`).join('\n')};

/** The compiled runtime (WebAssembly), base64. */
export const runtimeBase64 =
  '${bytes.toString('base64')}';
`,
  );
}

// Built beside dist/ and moved there, so that a command that runs meanwhile finds all of the old or all of the new.
if (!upToDate('dist/.built', 'src', 'tsconfig.json', 'tsconfig.build.json', 'package.json')) {
  const fresh = `build/dist-${process.pid}`;
  rmSync(fresh, { recursive: true, force: true });
  const tsc = path.join(path.dirname(require.resolve('typescript/package.json')), 'bin/tsc');
  run(tsc, '-p', 'tsconfig.build.json', '--outDir', fresh);
  await bundleCommand(fresh);
  chmodSync(`${fresh}/cli/main.js`, 0o755);
  writeFileSync(`${fresh}/.built`, '');
  const old = `build/dist-${process.pid}-old`;
  if (existsSync('dist')) renameSync('dist', old);
  renameSync(fresh, 'dist');
  rmSync(old, { recursive: true, force: true });
}
