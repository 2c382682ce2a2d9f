// `prog attach` and `prog detach`: programs on maps of sockets, and on the flow dissector.

import type { Bpf, Fd } from '../../bpf/bpf.js';
import { Errno } from '../../bpf/errno.js';
import { AttachType, attachTypeName } from '../../bpf/types.js';
import { type Arguments, isPrefix } from '../arguments.js';
import { closeAll, takeMap, takeProg } from '../objects.js';
import { wordlessRefusal } from '../refusal.js';
import type { Tool } from '../tool.js';
import { statusOfErrno, ToolError } from '../tool-error.js';

const INVALID = statusOfErrno(Errno.EINVAL);

/** What may be attached this way; `words` are older ones, which may be abbreviated. */
const TYPES: readonly { type: AttachType; word?: string }[] = [
  { type: AttachType.SkSkbStreamParser, word: 'stream_parser' },
  { type: AttachType.SkSkbStreamVerdict, word: 'stream_verdict' },
  { type: AttachType.SkMsgVerdict, word: 'msg_verdict' },
  { type: AttachType.FlowDissector },
  { type: AttachType.SkSkbVerdict, word: 'skb_verdict' },
];

function attachTypeOf(text: string): AttachType {
  const found = TYPES.find(
    ({ type, word }) => text === attachTypeName(type) || (word !== undefined && isPrefix(text, word)),
  );
  if (found === undefined) throw new ToolError('invalid attach/detach type', INVALID);
  return found.type;
}

interface Attachment {
  prog: Fd;
  attachType: AttachType;
  /** The map; the flow dissector has none. */
  target?: Fd;
}

async function withAttachment(
  tool: Tool,
  args: Arguments,
  work: (bpf: Bpf, attachment: Attachment) => Promise<void>,
): Promise<void> {
  args.require(3, INVALID);
  const bpf = await tool.bpf;
  const fds: Fd[] = [];
  try {
    const prog = await takeProg(tool, args);
    fds.push(prog);
    const attachType = attachTypeOf(args.next('ATTACH_TYPE'));
    const attachment: Attachment = { prog, attachType };
    if (attachType !== AttachType.FlowDissector) {
      args.require(2, INVALID);
      attachment.target = await takeMap(tool, args);
      fds.push(attachment.target);
    }
    await work(bpf, attachment);
  } finally {
    await closeAll(bpf, fds);
  }
  tool.done();
}

const invalid = async (tool: Tool, error: unknown, what: string): Promise<ToolError> => {
  const { message } = await wordlessRefusal(tool, error, what);
  return new ToolError(message, INVALID);
};

export async function attachProg(tool: Tool, args: Arguments): Promise<void> {
  await withAttachment(tool, args, async (bpf, attachment) => {
    await bpf.progAttach(attachment).catch(async (error: unknown) => {
      throw await invalid(tool, error, 'failed prog attach to map');
    });
  });
}

export async function detachProg(tool: Tool, args: Arguments): Promise<void> {
  await withAttachment(tool, args, async (bpf, attachment) => {
    await bpf.progDetach(attachment).catch(async (error: unknown) => {
      throw await invalid(tool, error, 'failed prog detach from map');
    });
  });
}
