// Leads through the tests of the recordings: each in the worker, with a limit of time.

import { Worker } from 'node:worker_threads';
import { readRecordings, recordedObjects } from './recording.mjs';

/** What one verification may take; the live kernel's slowest takes three seconds. */
const LIMIT = 30_000;

class Judge {
  #worker;
  #answer = () => {};
  #start() {
    const worker = new Worker(new URL('./worker.mjs', import.meta.url), {
      resourceLimits: { maxOldGenerationSizeMb: 4096 },
    });
    const broken = (threw) => {
      if (this.#worker !== worker) return;
      this.#worker = undefined;
      this.#answer({ threw });
    };
    worker.on('message', (result) => this.#answer(result));
    worker.on('error', (error) => broken(error.stack ?? error.message));
    worker.on('exit', (code) => broken(`the thread ended (${code})`));
    this.#worker = worker;
  }
  /** The result, or { threw } when it took too long or the thread ended. */
  async ask(message) {
    if (!this.#worker) this.#start();
    const worker = this.#worker;
    let resolve;
    const promise = new Promise((settle) => {
      resolve = settle;
    });
    const timer = setTimeout(() => {
      this.#worker = undefined;
      worker.terminate();
      resolve({ threw: `takes longer than ${LIMIT / 1000} s` });
    }, LIMIT);
    this.#answer = resolve;
    worker.postMessage(message);
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
    }
  }
  end() {
    return this.#worker?.terminate();
  }
}

/** Why a test is not counted, or undefined: nothing was loaded, or the machine's policy forbids it. */
export function untestable(test, mode = 'priv') {
  if (test.failed !== undefined) return test.failed;
  if (test.priv.errno === 1 || test[mode]?.errno === 1)
    return 'this machine refuses programs of this kind (EPERM)';
  return undefined;
}

/** Results of all tests that the filters let through, in order. */
export async function runTests({ set, mode, object, test: name, options, progress }) {
  const judge = new Judge();
  const results = [];
  const left = [];
  for (const file of recordedObjects(set)) {
    if (object !== undefined && file !== object) continue;
    for (const [index, test] of readRecordings(set, file).entries()) {
      const short = test.id.slice(`${set}/${file}/`.length);
      if (name !== undefined && short !== name && test.description !== name) continue;
      if (mode === 'unpriv' && !test.expect?.unpriv) continue;
      const reason = untestable(test, mode);
      if (reason !== undefined) {
        left.push({ id: test.id, reason });
        continue;
      }
      const result = await judge.ask({ set, object: file, index, mode, options });
      results.push({
        id: test.id,
        mode,
        live: { accepted: mode === 'unpriv' ? !test.expect.unpriv.fail : test[mode].accepted },
        ...result,
      });
      progress?.(results.length);
    }
  }
  await judge.end();
  return { results, left };
}
