// Judges tests in a thread of its own, so that one that never ends can be ended.

import { parentPort } from 'node:worker_threads';
import { runEngines } from './execute.mjs';
import { judge } from './judge.mjs';
import { readRecordings } from './recording.mjs';

let known = { key: '', tests: [] };

parentPort.on('message', async ({ set, object, index, mode, options }) => {
  const key = `${set}/${object}`;
  if (known.key !== key) known = { key, tests: readRecordings(set, object) };
  const test = known.tests[index];
  const result = judge(test, mode, options);
  if (mode === 'priv' && test.priv.retval !== undefined && options.engines)
    result.engines = await runEngines(test);
  parentPort.postMessage(result);
});
