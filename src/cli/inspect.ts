export interface InspectOptions {
  json?: boolean;
}
export async function inspect(_object: string, _options: InspectOptions): Promise<void> {}
