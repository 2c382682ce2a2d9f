// The WebAssembly text that the JIT makes of a program, to read where its time goes:
//
//     node bench/wat.mjs NAME [--checked]               a program of bench/programs
//     node bench/wat.mjs FILE.bpf.o PROGRAM [--checked]

import { existsSync, readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import wabt from 'wabt';
import { EmulatedKernel, load, parseObject, useModuleCompiler } from '../dist/index.js';

const { values, positionals } = parseArgs({
  options: { checked: { type: 'boolean', default: false } },
  allowPositionals: true,
});
const folder = new URL('programs/', import.meta.url);
const { programs } = JSON.parse(readFileSync(new URL('programs.json', folder), 'utf8'));
const [name, chosen] = positionals;
const known = programs.find((program) => program.name === name);
if (!known && !(name && existsSync(name))) {
  console.error(`Name an object file or one of: ${programs.map((program) => program.name).join(', ')}.`);
  process.exit(2);
}
const spec = parseObject(readFileSync(known ? new URL(known.object, folder) : name));

const modules = [];
const compile = (bytes) => {
  modules.push(bytes);
  return new WebAssembly.Module(bytes);
};
useModuleCompiler({ baseline: compile, optimized: compile });
const program = known?.program ?? chosen ?? spec.programs[0]?.name;
await load(spec, new EmulatedKernel({ safety: values.checked ? 'check' : 'verify' }), {
  programs: [program],
});
const { readWasm } = await wabt();
// The last module is the program's; the runtime, if it is compiled the same way, came before.
const module = readWasm(modules.at(-1), { readDebugNames: true });
module.applyNames();
console.log(module.toText({ foldExprs: true, inlineExport: true }));
