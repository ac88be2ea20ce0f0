// Carries out the links that mails hold: #/verify-email/TOKEN, #/reset-password/TOKEN and #/enroll-account/TOKEN.
// Nothing happens before a person presses the button: programs that look into mails open links, too.
'use strict';

const outcome = document.getElementById('outcome');

const kinds = {
	'verify-email': { section: 'verify', call: 'users.verifyEmail', done: 'Your e-mail address is confirmed.' },
	'reset-password': { section: 'reset', call: 'users.resetPassword', done: 'Your password is changed. You can log in with it now.' },
	'enroll-account': { section: 'reset', call: 'users.resetPassword', done: 'Your password is set. You can log in with it now.' },
};

function say(text, bad) {
	outcome.textContent = text;
	outcome.className = bad ? 'bad' : '';
}

async function send(kind, body) {
	const answer = await fetch('api/v1/' + kind.call, {
		method: 'POST', credentials: 'omit', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body),
	});
	const result = await answer.json();
	if (!result.success) {
		throw new Error(String(result.error).replace(/ \[[^\]]*\]$/, ''));
	}
}

function open() {
	const [, page, token] = /^#\/([a-z-]+)\/([A-Za-z0-9_-]+)$/.exec(location.hash) || [];
	const kind = Object.hasOwn(kinds, page || '') ? kinds[page] : undefined;
	if (!kind) {
		return;
	}
	// The token must not stay in the address bar or the history.
	history.replaceState(null, '', location.pathname);
	document.getElementById('home').hidden = true;
	const section = document.getElementById(kind.section);
	section.hidden = false;
	const form = section.querySelector('form');
	form.addEventListener('submit', async (event) => {
		event.preventDefault();
		const body = { token };
		const field = form.elements.namedItem('password');
		if (field) {
			if (field.value !== form.elements.namedItem('again').value) {
				say('The two passwords differ.', true);
				return;
			}
			body.password = field.value;
		}
		const button = form.querySelector('button');
		button.disabled = true;
		try {
			await send(kind, body);
			section.hidden = true;
			say(kind.done);
		} catch (e) {
			button.disabled = false;
			say(e.message, true);
		}
	});
}

open();
window.addEventListener('hashchange', () => location.reload());
