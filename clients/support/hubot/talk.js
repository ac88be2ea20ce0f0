// What the hubot of hubot.test.mjs knows to say: a line for each way in which its adapter hears and speaks.

module.exports = (robot) => {
  robot.hear(/pod bay/i, (r) => r.send('I heard of the doors'));
  robot.respond(/open (.+)$/i, (r) => r.reply(`I cannot open ${r.match[1]}`));
  robot.respond(/whisper/i, (r) => r.sendDirect('only to you'));
  robot.respond(/shrug/i, (r) => r.emote('shrugs'));
  robot.enter((r) => r.send(`welcome, ${r.message.user.name}`));
  robot.leave((r) => r.send(`farewell, ${r.message.user.name}`));
  console.log('ready to talk');
};
