// A child process of the benchmarks: from the bytes of an object to the first verdict, in this fresh process and then
// again and again. Prints JSON: milliseconds, and bytes of memory.

import { readFileSync } from 'node:fs';

const [object, times] = process.argv.slice(2);
const began = performance.now();
const { EmulatedKernel, load, parseObject } = await import('../dist/node/index.js');
const imported = performance.now() - began;
const bytes = readFileSync(object);
const packet = new Uint8Array(64);

const once = async () => {
  const begin = performance.now();
  const collection = await load(parseObject(bytes), new EmulatedKernel());
  const [program] = collection.programs.values();
  await program.run({ data: packet });
  const time = performance.now() - begin;
  await collection.close();
  return time;
};

const cold = await once();
const { rss } = process.memoryUsage();
const warm = [];
for (let i = 0; i < Number(times); i++) warm.push(await once());
console.log(JSON.stringify({ imported, cold, warm, rss }));
