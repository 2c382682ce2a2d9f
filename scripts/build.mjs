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

/** Takes the comments out of the modules: who uses the library reads them in its declarations. */
const dropComments = async (dist) => {
  const { build } = await import('esbuild');
  const modules = readdirSync(dist, { recursive: true }).filter((name) => name.endsWith('.js'));
  await build({
    entryPoints: modules.map((name) => path.join(dist, name)),
    outdir: dist,
    outbase: dist,
    allowOverwrite: true,
    format: 'esm',
    target: 'es2023',
    charset: 'utf8',
    logLevel: 'warning',
  });
};

/**
 * Makes one file of what every command that talks to a kernel needs: esbuild parts code by who uses it, into two dozen
 * small files that take Node a third of the time of such a command. `outputs` says what esbuild made, `modules` whose code is meant;
 * what the library has of the code of `objectModules`, which read objects, is one file too.
 */
const joinFiles = async (from, to, outputs, modules, objectModules) => {
  const { rollup } = await import('rollup');
  /** What comes with a file: without waiting for anything, or whenever it is needed. */
  const withImports = (output, whenever = false, found = new Set()) => {
    if (!found.has(output)) {
      found.add(output);
      for (const { path: imported, kind } of outputs[output].imports) {
        if ((whenever || kind === 'import-statement') && imported in outputs)
          withImports(imported, whenever, found);
      }
    }
    return found;
  };
  // Browsers have no modules of Node: what the library needs stays apart from what only the command does.
  const ofLibrary = withImports(`${from}/library.js`, true);
  const ofEverything = withImports(`${from}/main.js`);
  const comeWith = (modules) =>
    new Set(
      Object.entries(outputs)
        .filter(([, { entryPoint }]) => modules.includes(entryPoint))
        .flatMap(([output]) => [...withImports(output)])
        .filter((output) => !ofEverything.has(output)),
    );
  const joined = comeWith(modules);
  const ofObjects = comeWith(objectModules);
  const bundle = await rollup({
    input: Object.fromEntries(
      ['main', 'kernel-process', 'library', 'library-node'].map((name) => [name, `${from}/${name}.js`]),
    ),
    external: (name) => !/^[./]/.test(name) || /\.generated\.js$/.test(name),
    makeAbsoluteExternalsRelative: false,
    treeshake: false,
  });
  await bundle.write({
    dir: to,
    chunkFileNames: '[name].js',
    manualChunks: (id) => {
      const output = path.relative(root, id).replaceAll('\\', '/');
      if (ofLibrary.has(output)) {
        if (joined.has(output) || ofEverything.has(output)) return 'base';
        return ofObjects.has(output) ? 'object' : undefined;
      }
      if (joined.has(output)) return 'core';
      // The entry waits for what it loads: nothing may wait for the entry.
      return ofEverything.has(output) && output !== `${from}/main.js` ? 'common' : undefined;
    },
    hoistTransitiveImports: false,
    compact: true,
  });
  await bundle.close();
};

/**
 * Joins the modules of the command and of the library, and those of the packages that the command uses, into a few files: Node takes about as long to
 * find a hundred small ones as the command takes to answer. What a command does not need stays in files of its own, loaded when it runs.
 */
const bundleCommand = async (dist) => {
  const { build } = await import('esbuild');
  const split = `${dist}-split`;
  const out = `${dist}-cli`;
  const { metafile } = await build({
    // The command, the process that a kernel stays in, and the library: what they share is there once.
    entryPoints: {
      main: `${dist}/cli/main.js`,
      'kernel-process': `${dist}/cli/kernel-process.js`,
      library: `${dist}/index.js`,
      'library-node': `${dist}/node/index.js`,
    },
    outdir: split,
    metafile: true,
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    // The packages' ES modules, where they have some.
    mainFields: ['module', 'main'],
    // What the real kernel needs is loaded only there, and what draws and takes apart only when somebody wants to see.
    external: ['koffi', 'wabt', 'iced-x86', '@viz-js/viz', '@resvg/resvg-js'],
    // What is large and made (the kernel's types, the WebAssembly modules) is in the package once, as the library's.
    plugins: [
      {
        name: 'generated',
        setup: ({ onResolve }) =>
          onResolve({ filter: /\.generated\.js$/ }, ({ path: specifier, resolveDir }) => ({
            path: path.join('..', path.relative(dist, path.join(resolveDir, specifier))),
            external: true,
          })),
      },
    ],
    minifySyntax: true,
    minifyWhitespace: true,
    minifyIdentifiers: true,
    keepNames: true,
    legalComments: 'inline',
    logLevel: 'warning',
  });
  await joinFiles(
    split,
    out,
    metafile.outputs,
    [`${dist}/cli/tool.js`, `${dist}/cli/connect.js`],
    [`${dist}/cli/inspect.js`],
  );
  rmSync(split, { recursive: true });
  rmSync(`${dist}/cli`, { recursive: true });
  renameSync(out, `${dist}/cli`);
};

/**
 * Compiles an AssemblyScript module and writes it as a TypeScript one: the code, and the constants of its layout. `name`
 * is the first word of what that exports.
 */
const buildRuntime = (folder, name, what, generated) => {
  if (upToDate(generated, folder, 'scripts/build.mjs')) return;
  mkdirSync('build', { recursive: true });
  const asc = path.join(path.dirname(require.resolve('assemblyscript/package.json')), 'bin/asc.js');
  run(asc, '--config', `${folder}/asconfig.json`);
  const bytes = readFileSync(`build/${name}.wasm`);
  const module = new WebAssembly.Module(bytes);
  const table = new WebAssembly.Table({ element: 'anyfunc', initial: 64 });
  const imports = { env: { memory: new WebAssembly.Memory({ initial: 16 }), table } };
  for (const { module: from, name, kind } of WebAssembly.Module.imports(module)) {
    imports[from] ??= {};
    if (kind === 'function') imports[from][name] = () => 0;
  }
  const { exports } = new WebAssembly.Instance(module, imports);
  const constants = Object.entries(exports).filter(
    ([name, value]) => value instanceof WebAssembly.Global && !name.startsWith('__'),
  );
  const functions = WebAssembly.Module.exports(module).filter(
    ({ name, kind }) => kind === 'function' && !name.startsWith('__'),
  );
  const type = `${name[0].toUpperCase()}${name.slice(1)}Function`;
  writeFileSync(
    generated,
    `// Made by scripts/build.mjs from ${folder}/: do not edit.

/** Sizes, offsets and numbers that ${folder}/layout.ts defines. */
export const layout = {
${constants.map(([name, { value }]) => `  ${name}: ${literal(value)},`).join('\n')}
} as const;

/** Names of the functions that ${what} exports. */
export type ${type} =
${functions.map(({ name }) => `  | '${name}'`).join('\n')};

/** ${what[0].toUpperCase()}${what.slice(1)}, compiled (WebAssembly), base64. */
export const ${name}Base64: string =
  '${bytes.toString('base64')}';
`,
  );
};

buildRuntime('runtime', 'runtime', 'the runtime', 'src/kernel/memory/runtime.generated.ts');
buildRuntime(
  'runtime/verifier',
  'verifier',
  "the verifier's domain",
  'src/kernel/verifier/domain.generated.ts',
);

/** The types of the emulated kernel as a module, so that a browser and a bundler load them as they load code. */
const buildKernelTypes = (packed, generated) => {
  if (upToDate(generated, packed, 'scripts/build.mjs')) return;
  writeFileSync(
    generated,
    `// Made by scripts/build.mjs from ${packed}: do not edit.

/** BTF, compressed (gzip), base64. */
export const vmlinuxBase64: string =
  '${readFileSync(packed).toString('base64')}';
`,
  );
};
buildKernelTypes('src/kernel/types/vmlinux.btf.gz', 'src/kernel/types/vmlinux.generated.ts');

// Built beside dist/ and moved there, so that a command that runs meanwhile finds all of the old or all of the new.
if (!upToDate('dist/.built', 'src', 'tsconfig.json', 'tsconfig.build.json', 'package.json')) {
  const fresh = `build/dist-${process.pid}`;
  rmSync(fresh, { recursive: true, force: true });
  const tsc = path.join(path.dirname(require.resolve('typescript/package.json')), 'bin/tsc');
  run(tsc, '-p', 'tsconfig.build.json', '--outDir', fresh);
  await dropComments(fresh);
  await bundleCommand(fresh);
  chmodSync(`${fresh}/cli/main.js`, 0o755);
  writeFileSync(`${fresh}/.built`, '');
  const old = `build/dist-${process.pid}-old`;
  if (existsSync('dist')) renameSync('dist', old);
  renameSync(fresh, 'dist');
  rmSync(old, { recursive: true, force: true });
}
