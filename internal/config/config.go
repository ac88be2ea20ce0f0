// Package config is the typed configuration of the program: one flat list of
// keys that a YAML file, the environment and flags spell alike (root_url,
// ROOT_URL, --root-url), each with its default, its bounds and one line of help.
//
// It reads and checks values and collects every problem before it reports any.
// It opens no store, makes no directory and starts nothing; packages below get
// their own Options from internal/app and never see a Config.
package config

import (
	"time"

	"ddpserver/internal/secret"
)

// Bytes is a size; it is written as a plain number or with B, KiB, MiB or GiB.
type Bytes int64

// Config is everything an operator may set before the start. Settings that may
// change while the server runs live in package settings; Settings only forces
// their values. Tags: key is the name (see the package comment), doc the help
// line, min and max the inclusive bounds, oneof the allowed words. A field of
// type secret.String also has a key with "_file" behind it, which names a file
// that holds the value.
type Config struct {
	HTTP
	Storage
	Mail
	Admin
	Trust
	Telemetry
	Limits
	Runtime

	// Settings are forced values of runtime settings by id, as text: the map
	// "settings" of the file, then OVERWRITE_SETTING_<id>, then --settings id=value.
	Settings map[string]string
	// File is the configuration file that was read, or "".
	File string

	environ      map[string]string
	rootFromPort bool
}

// HTTP says where the public listener is and how patient it is.
type HTTP struct {
	Port     int    `key:"port" min:"0" max:"65535" doc:"TCP port of the public listener; 0 takes any free one"`
	BindIP   string `key:"bind_ip" doc:"address to listen on; 0.0.0.0 for every interface"`
	APILevel string `key:"api_level" doc:"the version of Rocket.Chat that clients are told, by which they choose their calls and whether to come in (docs/clients.md)"`
	RootURL  string `key:"root_url" doc:"address at which clients reach the server; its path prefixes every route (default http://localhost:PORT)"`

	ReadHeaderTimeout time.Duration `key:"read_header_timeout" min:"1s" max:"1m" doc:"longest time for the headers of a request"`
	ReadTimeout       time.Duration `key:"read_timeout" min:"1s" max:"5m" doc:"longest time for a request with its body"`
	IdleTimeout       time.Duration `key:"idle_timeout" min:"1s" max:"10m" doc:"how long an unused HTTP connection is kept"`
	MaxHeaderBytes    Bytes         `key:"max_header_bytes" min:"4096" max:"1048576" doc:"largest header of a request"`
	CompressAbove     Bytes         `key:"compress_above" min:"0" max:"1MiB" doc:"smallest message that is compressed for clients that offer permessage-deflate; 0: never"`
	DisableWebSockets bool          `key:"disable_websockets" doc:"answer 404 to every WebSocket; clients fall back to SockJS polling"`
	DisableSockJSCORS bool          `key:"disable_sockjs_cors" doc:"leave the CORS headers of SockJS out"`
	UseJSessionID     bool          `key:"use_jsessionid" doc:"set the cookie JSESSIONID on SockJS, for load balancers that look at it"`
	ShutdownSpread    time.Duration `key:"shutdown_spread" min:"0s" max:"10m" doc:"over how long sessions are sent to other nodes, when there are any, before a node stops"`
	ShutdownGrace     time.Duration `key:"shutdown_grace" min:"0s" max:"10m" doc:"how long running calls may finish after the first signal to stop"`
}

// Storage says where data lives, which key seals it, and what carries news of changes to other nodes.
type Storage struct {
	MongoURL         secret.String `key:"mongo_url" doc:"MongoDB connection string; empty: the embedded store in data_dir"`
	Transporter      secret.String `key:"transporter" doc:"NATS servers that carry news between nodes, as nats://host:4222; empty: the database carries them, by change streams where it has them; polling: it is asked for them"`
	DataDir          string        `key:"data_dir" doc:"directory of the embedded store, the server key, the outbox, uploaded files and the audit file"`
	FilesURL         secret.String `key:"files_url" doc:"where uploaded files are: file:///directory, or s3://ACCESS-KEY:SECRET-KEY@host/bucket?region=us-east-1; empty: files in data_dir"`
	EncryptionKey    secret.String `key:"encryption_key" doc:"server key, 32 bytes in base64 or hex; needed with mongo_url, else made once in data_dir"`
	EncryptionKeyOld secret.String `key:"encryption_key_old" doc:"the server key of before, readable until rotate-key has sealed everything with encryption_key"`
}

// Mail says how mail leaves the server.
type Mail struct {
	MailURL  secret.String `key:"mail_url" doc:"smtp:// or smtps:// server; empty: every mail becomes an .eml file in data_dir/outbox"`
	MailFrom string        `key:"mail_from" doc:"sender of every mail (default ddpserver@ and the host of root_url)"`
}

// Admin describes the administrator that the first start makes.
type Admin struct {
	AdminUsername string        `key:"admin_username" doc:"user name of the administrator made on the first start"`
	AdminEmail    string        `key:"admin_email" doc:"address of that administrator, taken as verified"`
	AdminPass     secret.String `key:"admin_pass" doc:"password of that administrator; empty: one is made and printed once"`
	AdminName     string        `key:"admin_name" doc:"display name of that administrator"`
}

// Trust says whose word counts about where a request comes from.
type Trust struct {
	ForwardedCount int      `key:"http_forwarded_count" min:"0" max:"32" doc:"number of proxies in front of the server that add to X-Forwarded-For"`
	TrustedProxies []string `key:"trusted_proxies" doc:"addresses or networks of those proxies; from anybody else forwarded headers are ignored"`
	AllowedOrigins []string `key:"allowed_origins" doc:"origins of pages that may connect, besides root_url's own; the word loopback stands for every origin on this machine, apps for capacitor://, ionic://, tauri:// and file://, * for all; android:apk-key-hash:… is an application that uses passkeys"`
}

// Telemetry says what the program tells about itself, and to whom.
type Telemetry struct {
	MetricsAddr string `key:"metrics_addr" doc:"address of the private listener with /metrics and /debug/pprof, as 127.0.0.1:9464; empty: none"`
	LogLevel    string `key:"log_level" oneof:"debug info warn error" doc:"least severe log record that is written"`
	LogFormat   string `key:"log_format" oneof:"auto console json" doc:"shape of log records; auto: console on a terminal, else json"`
	AuditFile   string `key:"audit_file" doc:"file of the audit stream (default data_dir/audit.log); - for standard output, off for none"`
	NodeName    string `key:"node_name" doc:"name of this process in the audit stream (default the host's name)"`
}

// Limits bounds what one client, and all of them, may take (docs/decisions.md 6.1).
type Limits struct {
	MaxConnections           int           `key:"max_connections" min:"1" max:"1000000" doc:"connections at once over all clients"`
	MaxConnectionsPerAddress int           `key:"max_connections_per_address" min:"0" max:"1000000" doc:"connections at once from one IPv4 address or IPv6 /64; 0: no limit"`
	MaxConnectionsPerUser    int           `key:"max_connections_per_user" min:"0" max:"1000000" doc:"logged-in connections at once of one user; 0: no limit"`
	ConnectTimeout           time.Duration `key:"connect_timeout" min:"1s" max:"45s" doc:"longest silence between the socket's opening and the frame connect"`
	HeartbeatInterval        time.Duration `key:"heartbeat_interval" min:"1s" max:"10m" doc:"silence after which the server sends a ping"`
	HeartbeatTimeout         time.Duration `key:"heartbeat_timeout" min:"1s" max:"10m" doc:"silence after that ping before the connection is closed"`
	WriteTimeout             time.Duration `key:"write_timeout" min:"1s" max:"5m" doc:"longest time one write may wait for a slow reader"`
	MaxMessageBytes          Bytes         `key:"max_message_bytes" min:"1024" max:"67108863" doc:"largest message of a logged-in client"`
	MaxMessageBytesLoggedOut Bytes         `key:"max_message_bytes_logged_out" min:"1024" max:"67108863" doc:"largest message before login"`
	MaxDepth                 int           `key:"max_depth" min:"8" max:"64" doc:"deepest nesting of a logged-in client's message"`
	MaxDepthLoggedOut        int           `key:"max_depth_logged_out" min:"8" max:"64" doc:"deepest nesting before login"`
	MaxQueuedMessages        int           `key:"max_queued_messages" min:"1" max:"65536" doc:"messages of one client that may wait; one more closes the connection"`
	MaxQueuedBytes           Bytes         `key:"max_queued_bytes" min:"16384" max:"1073741824" doc:"bytes that may wait for a slow reader; more closes the connection"`
	MaxBytesInFlight         Bytes         `key:"max_bytes_in_flight" min:"0" max:"1TiB" doc:"bytes received or made for clients that all of them together may have waiting; 0: a quarter of the memory limit, or 128MiB without one"`
	MaxProtocolErrors        int           `key:"max_protocol_errors" min:"1" max:"1000000" doc:"malformed messages of one connection within a minute; one more closes it"`
	MaxSubscriptions         int           `key:"max_subscriptions" min:"1" max:"65536" doc:"subscriptions of one connection"`
	MaxUnblocked             int           `key:"max_unblocked_calls" min:"1" max:"1024" doc:"calls of one connection that may run at once after unblocking"`
}

// Runtime sets how the Go runtime spends memory and time. GOGC and GOMEMLIMIT
// are the runtime's own names, so the environment means what it always means.
type Runtime struct {
	GOGC       int   `key:"gogc" min:"10" max:"1000" off:"-1" doc:"percentage of growth of the heap that starts a collection, or off"`
	GOMemLimit Bytes `key:"gomemlimit" min:"0" max:"1TiB" off:"9223372036854775807" doc:"soft limit of memory, or off; 0: nine tenths of the memory of the container, if it has a limit"`
}

// Default is the configuration of a server about which nothing was said.
func Default() Config {
	return Config{
		HTTP: HTTP{
			Port: 3000, BindIP: "127.0.0.1", APILevel: "8.5.0",
			ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 12 * time.Second, IdleTimeout: 30 * time.Second,
			MaxHeaderBytes: 32 << 10, ShutdownSpread: 5 * time.Second, ShutdownGrace: 10 * time.Second,
		},
		Storage:   Storage{DataDir: "./data"},
		Admin:     Admin{AdminUsername: "admin", AdminEmail: "admin@localhost", AdminName: "Administrator"},
		Trust:     Trust{AllowedOrigins: []string{Loopback}},
		Telemetry: Telemetry{LogLevel: "info", LogFormat: "auto"},
		Limits: Limits{
			MaxConnections: 50_000, MaxConnectionsPerAddress: 0, MaxConnectionsPerUser: 500,
			ConnectTimeout: 45 * time.Second, HeartbeatInterval: 15 * time.Second, HeartbeatTimeout: 15 * time.Second,
			WriteTimeout:    10 * time.Second,
			MaxMessageBytes: 1 << 20, MaxMessageBytesLoggedOut: 64 << 10, MaxDepth: 64, MaxDepthLoggedOut: 32,
			MaxQueuedMessages: 256, MaxQueuedBytes: 1 << 20, MaxProtocolErrors: 600, MaxSubscriptions: 300, MaxUnblocked: 16,
		},
		Runtime: Runtime{GOGC: 75},
	}
}

// Words in AllowedOrigins: Loopback stands for every origin whose host is this
// machine, Apps for pages that are packed into an application (capacitor://, ionic://,
// tauri://, file://).
const (
	Loopback = "loopback"
	Apps     = "apps"
)

// Environ looks up a variable of the environment that was given to Load; the
// first values of runtime settings come from variables named like their ids.
func (c *Config) Environ(name string) (string, bool) {
	v, ok := c.environ[name]
	return v, ok
}
