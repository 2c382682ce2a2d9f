// `struct_ops register` and `unregister`.

import { SkepError } from '../../base/error.js';
import type { Bpf, Fd } from '../../bpf/bpf.js';
import { BpfError, errnoMessage } from '../../bpf/errno.js';
import { AttachType } from '../../bpf/types.js';
import type { StructOpsSpec } from '../../elf/spec.js';
import type { Collection } from '../../loader/index.js';
import { createStructOps } from '../../loader/struct-ops.js';
import type { Arguments } from '../arguments.js';
import { loadFile } from '../iter.js';
import { checkPinDirectory, kernelError, withFds } from '../objects.js';
import type { Tool } from '../tool.js';
import { FAILED, ToolError, UsageRequest } from '../tool-error.js';
import { eachStructOps, KernelTypes, takeSelection } from './maps.js';

export async function register(tool: Tool, args: Arguments): Promise<number | undefined> {
  if (args.left !== 1 && args.left !== 2) throw new UsageRequest();
  const file = args.next();
  const directory = args.left > 0 ? args.next() : undefined;
  if (directory !== undefined) await checkPinDirectory(tool, directory);
  const bpf = await tool.bpf;
  const collection = await loadFile(tool, bpf, file).catch((error: unknown) => {
    throw error instanceof ToolError ? new ToolError(error.message) : error;
  });
  let failures = 0;
  try {
    const instances = (collection.spec.structOps ?? []).filter(({ autoload }) => autoload);
    if (instances.length === 0) throw new ToolError(`no struct_ops found in ${file}`);
    for (const ops of instances) {
      try {
        await registerOne(tool, bpf, collection, ops, directory);
      } catch (error) {
        if (!(error instanceof ToolError)) throw error;
        await tool.error(error.message);
        failures++;
      }
    }
  } finally {
    await collection.close();
  }
  if (failures > 0) return FAILED;
  tool.done();
  return undefined;
}

async function registerOne(
  tool: Tool,
  bpf: Bpf,
  collection: Collection,
  ops: StructOpsSpec,
  directory: string | undefined,
): Promise<void> {
  const types = new KernelTypes(tool);
  let map: Fd;
  try {
    map = await createStructOps(bpf, collection, ops, await types.need());
  } catch (error) {
    if (!(error instanceof SkepError)) throw error;
    if (!(error.cause instanceof BpfError)) throw new ToolError(`can't register ${error.message}`);
    throw kernelError(error.cause, `can't register struct_ops ${ops.name}`);
  }
  await withFds(bpf, [map], async () => {
    const info = await bpf.mapInfo(map);
    const what = `${await types.structOf(info)} ${info.name}`;
    if (!ops.link) {
      await tool.info(`Registered ${what} id ${info.id}`);
      return;
    }
    const link = await bpf
      .linkCreate({ prog: map, attachType: AttachType.StructOps })
      .catch((error: unknown) => {
        throw kernelError(error, `can't register struct_ops ${ops.name}`);
      });
    await withFds(bpf, [link], async () => {
      const { id } = await bpf.linkInfo(link);
      if (directory !== undefined) {
        await bpf.objPin(link, tool.path(`${directory}/${info.name}`)).catch((error: unknown) => {
          throw kernelError(error, `can't pin link ${id} for ${info.name}`);
        });
      }
      await tool.info(`Registered ${what} map id ${info.id} link id ${id}`);
    });
  });
}

export async function unregister(tool: Tool, args: Arguments): Promise<number | undefined> {
  const selection = takeSelection(args, true);
  const bpf = await tool.bpf;
  const types = new KernelTypes(tool);
  let failures = 0;
  const count = await eachStructOps(bpf, selection, async ({ fd, info }) => {
    const what = `${await types.structOf(info)} ${info.name} id ${info.id}`;
    try {
      await bpf.mapDeleteElem(fd, new Uint8Array(4));
      await tool.info(`Unregistered ${what}`);
    } catch (error) {
      if (!(error instanceof BpfError)) throw error;
      await tool.error(`can't unload ${what}: ${errnoMessage(error.errno)}`);
      failures++;
    }
  });
  if (failures > 0) return FAILED;
  if (count === 0 && selection && 'name' in selection) {
    throw new ToolError(`no struct_ops found for ${selection.name}`);
  }
  tool.done();
  return undefined;
}
