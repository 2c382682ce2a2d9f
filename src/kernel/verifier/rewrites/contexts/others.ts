// Control groups' options and sysctls, and perf events.

import { load } from '../emit.js';
import { type Conversion, type Conversions, field, read, through, writeThrough } from './words.js';

const OPTION = 'bpf_sockopt_kern';
export const sockopt: Conversions = {
  sk: read(`${OPTION}.sk`),
  optval: read(`${OPTION}.optval`),
  optval_end: read(`${OPTION}.optval_end`),
  level: field(`${OPTION}.level`),
  optname: field(`${OPTION}.optname`),
  optlen: field(`${OPTION}.optlen`),
  retval: through(`${OPTION}.tmp_reg`, [
    `${OPTION}.current_task`,
    'task_struct.bpf_ctx',
    'bpf_cg_run_ctx.retval',
  ]),
};

const SYSCTL = 'bpf_sysctl_kern';
/** The position is behind a pointer; its lower half is shown. */
const filePosition: Conversion = (access) => {
  const { insn, layout, size } = access;
  const pointer = `${SYSCTL}.ppos`;
  if (access.write) return writeThrough(access, `${SYSCTL}.tmp_reg`, [pointer, ''], 4);
  return {
    insns: [load(8, insn.dst, insn.src, layout.offset(pointer)), load(size, insn.dst, insn.dst, 0)],
    target: 4,
  };
};
export const sysctl: Conversions = { write: field(`${SYSCTL}.write`, 'access'), file_pos: filePosition };

const PERF = 'bpf_perf_event_data_kern';
/** Beside the registers, which are read as they lie. */
export const perfEvent: Conversions = {
  sample_period: read([`${PERF}.data`, 'perf_sample_data.period']),
  addr: read([`${PERF}.data`, 'perf_sample_data.addr']),
  regs: ({ insn, layout }) => ({
    insns: [
      load(8, insn.dst, insn.src, layout.offset(`${PERF}.regs`)),
      load(8, insn.dst, insn.dst, insn.off),
    ],
    target: 8,
  }),
};
