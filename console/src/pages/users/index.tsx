// Accounts: the list, an account, a new one.
import { usePath } from '../../router';
import { List } from './list';
import { One } from './one';
import './users.css';

export function Users() {
  const id = decodeURIComponent(usePath().split('/')[2] ?? '');
  return id ? <One key={id} id={id} /> : <List />;
}
