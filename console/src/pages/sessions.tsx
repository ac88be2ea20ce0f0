// Sessions of everybody, for administrators.
import { useState } from 'preact/hooks';
import { connection } from '../session';
import { texts } from '../texts';
import { useAccountNews } from '../ui/news';
import { Pager, Shown, useLater, useLoad } from '../ui/parts';
import { SessionTable, useInside, type SessionList } from '../ui/sessions';

const page = 25;

export function Sessions() {
  const t = texts.sessionsPage;
  const [text, setText] = useState('');
  const [sort, setSort] = useState('-createdAt');
  const [offset, go] = useState(0);
  const search = useLater(text.trim());
  const list = useLoad(
    () => connection.call<SessionList>('sessions:listAll', { count: page, offset, sort, ...(search ? { search } : {}) }),
    [search, sort, offset],
  );
  useAccountNews('sessions', list.reload);
  useInside(list.data, page, go);
  return (
    <>
      <h1>{texts.shell.sessions}</h1>
      <p>{t.lead}</p>
      <div class="row">
        <label class="grow">
          {t.search}
          <input
            type="search"
            value={text}
            onInput={(e) => {
              setText(e.currentTarget.value);
              go(0);
            }}
          />
        </label>
        <label>
          {t.sort}
          <select
            value={sort}
            onChange={(e) => {
              setSort(e.currentTarget.value);
              go(0);
            }}
          >
            {Object.entries(t.sorts).map(([key, label]) => (
              <option key={key} value={key}>
                {label}
              </option>
            ))}
          </select>
        </label>
      </div>
      <Shown of={list}>
        {(d) => (
          <>
            <SessionTable of={d.sessions} owners label={texts.shell.sessions} ended={list.reload} />
            <Pager offset={offset} count={page} total={d.total} go={go} />
          </>
        )}
      </Shown>
    </>
  );
}
