// `prog profile`: what a program costs while the user waits. bpftool reads the processor's counters around every run; an
// emulated kernel has no processor of its own, so what can be counted are runs and their time.

import { Errno } from '../../bpf/errno.js';
import { type Arguments, isPrefix } from '../arguments.js';
import { parseUnsigned32 } from '../number.js';
import { takeProg, withFds } from '../objects.js';
import type { Tool } from '../tool.js';
import { statusOfErrno, ToolError, UsageRequest } from '../tool-error.js';
import { infoOf } from './show.js';

/** bpftool's own metrics: events of the processor. */
const HARDWARE = ['cycles', 'instructions', 'l1d_loads', 'llc_misses', 'itlb_misses', 'dtlb_misses'];
const COUNTED = ['run_time_ns', 'run_cnt'] as const;
type Metric = (typeof COUNTED)[number];

/** BPF_STATS_RUN_TIME. */
const RUN_TIME = 0;

export async function profileProg(tool: Tool, args: Arguments): Promise<void> {
  args.require(3, statusOfErrno(Errno.EINVAL));
  const bpf = await tool.bpf;
  const prog = await takeProg(tool, args);
  await withFds(bpf, [prog], async () => {
    const duration = takeDuration(args);
    const metrics = takeMetrics(args);
    const before = await infoOf(bpf, prog);
    const stats = await bpf.enableStats(RUN_TIME);
    await withFds(bpf, [stats], async () => {
      const over = duration === undefined ? tool.host.interrupted() : tool.host.sleep(duration * 1000);
      await Promise.race([over, tool.host.interrupted()]);
    });
    const after = await infoOf(bpf, prog);
    tell(tool, metrics, {
      run_cnt: after.runCnt - before.runCnt,
      run_time_ns: after.runTimeNs - before.runTimeNs,
    });
  });
}

/** Seconds; undefined when it goes on until the user ends it. */
function takeDuration(args: Arguments): number | undefined {
  if (args.left <= 2 || !args.take('duration')) return undefined;
  const seconds = parseUnsigned32(args.next());
  if (seconds === undefined) throw new UsageRequest();
  return seconds;
}

function takeMetrics(args: Arguments): Metric[] {
  const metrics = new Set<Metric>();
  while (args.left > 0) {
    const word = args.next();
    const hardware = HARDWARE.find((name) => isPrefix(word, name));
    if (hardware !== undefined) {
      throw new ToolError(
        `'${hardware}' counts events of a processor, and none is watched here: ${COUNTED.join(' and ')} can be counted`,
      );
    }
    const metric = COUNTED.find((name) => word === name);
    if (metric === undefined) throw new ToolError(`unknown metric ${word}`);
    metrics.add(metric);
  }
  return COUNTED.filter((metric) => metrics.has(metric));
}

function tell(tool: Tool, metrics: readonly Metric[], values: Readonly<Record<Metric, bigint>>): void {
  if (tool.json) {
    tool.json.value(metrics.map((metric) => ({ metric, run_cnt: values.run_cnt, value: values[metric] })));
    return;
  }
  const line = (name: string, value: bigint): string => `${String(value).padStart(18)} ${name}\n`;
  tool.print(`\n${line('run_cnt', values.run_cnt)}`);
  for (const metric of metrics) if (metric !== 'run_cnt') tool.print(line(metric, values[metric]));
}
