// What can be called, as the server tells it.
import { connection } from '../../session';

export type Call = {
  name: string;
  kind: 'method' | 'sub';
  doc?: string;
  params?: string;
  result?: string;
  errors?: string[];
  login?: string;
  permission?: string;
  factor?: string;
  whenNeeded?: string;
  onlyFactors?: string[];
  notFactors?: string[];
  effects?: string[];
  limit?: string;
  events?: string[];
};

export async function surface(): Promise<Call[]> {
  const s = await connection.call<any>('server:surface', {});
  return [
    ...(s.methods ?? []).map((m: any) => ({ ...m, kind: 'method' as const })),
    ...(s.streams ?? []).map((m: any) => ({ ...m, kind: 'sub' as const })),
  ];
}
