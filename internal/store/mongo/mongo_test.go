package mongo_test

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.uber.org/goleak"

	"ddpserver/internal/random"
	"ddpserver/internal/store/mongo"
	"ddpserver/internal/store/mongotest"
	"ddpserver/internal/store/storetest"
)

func openAt(url string) (storetest.Core, error) {
	return mongo.Open(context.Background(), url, mongo.Options{})
}

func TestMain(m *testing.M) {
	storetest.Child(openAt)
	goleak.VerifyTestMain(m)
}

// database is a database on some MongoDB server.
type database struct{ url string }

func (d database) Open(t testing.TB) storetest.Core {
	t.Helper()
	s, err := openAt(d.url)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (d database) Plant(t testing.TB, doc bson.D) {
	t.Helper()
	d.driver(t, func(ctx context.Context, db *driver.Database) error {
		_, err := db.Collection("users").InsertOne(ctx, doc)
		return err
	})
}

func (d database) Raw(t testing.TB, id string) (raw bson.Raw) {
	t.Helper()
	d.driver(t, func(ctx context.Context, db *driver.Database) (err error) {
		raw, err = db.Collection("users").FindOne(ctx, bson.D{{Key: "_id", Value: id}}).Raw()
		return err
	})
	return raw
}

func (d database) Set(t testing.TB, id, path string, value any) {
	t.Helper()
	d.driver(t, func(ctx context.Context, db *driver.Database) error {
		_, err := db.Collection("users").UpdateOne(ctx, bson.D{{Key: "_id", Value: id}}, bson.D{{Key: "$set", Value: bson.D{{Key: path, Value: value}}}})
		return err
	})
}

func (d database) BreakMail(t testing.TB, id string) {
	t.Helper()
	d.driver(t, func(ctx context.Context, db *driver.Database) error {
		_, err := db.Collection("ddpserver_outbox").UpdateOne(ctx, bson.D{{Key: "_id", Value: id}}, bson.D{{Key: "$set", Value: bson.D{{Key: "sealed", Value: 5}}}})
		return err
	})
}

func (d database) Shared() bool { return true }

// driver runs do with the bare driver.
func (d database) driver(t testing.TB, do func(context.Context, *driver.Database) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	client, err := driver.Connect(options.Client().ApplyURI(d.url))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Disconnect(ctx) }()
	name := d.url[strings.LastIndex(d.url, "/")+1:]
	name, _, _ = strings.Cut(name, "?")
	if err := do(ctx, client.Database(name)); err != nil {
		t.Fatal(err)
	}
}

func TestConformance(t *testing.T) {
	storetest.Run(t, func(t testing.TB) storetest.Database { return database{mongotest.Start(t)} })
}

// TestConformanceOnMongoDB runs on a real server: MONGODB_TEST_URI is the URL of
// one, with or without a database; every group gets a database of its own,
// which is dropped afterwards.
func TestConformanceOnMongoDB(t *testing.T) {
	uri := os.Getenv("MONGODB_TEST_URI")
	if uri == "" {
		t.Log("MONGODB_TEST_URI is not set: nothing to do")
		return
	}
	storetest.Run(t, func(t testing.TB) storetest.Database {
		scheme, rest, _ := strings.Cut(uri, "://")
		hosts, query, _ := strings.Cut(rest, "?")
		hosts, _, _ = strings.Cut(hosts, "/")
		d := database{scheme + "://" + hosts + "/ddpserver_test_" + random.ID()}
		if query != "" {
			d.url += "?" + query
		}
		t.Cleanup(func() {
			d.driver(t, func(ctx context.Context, db *driver.Database) error { return db.Drop(ctx) })
		})
		return d
	})
}

func TestCrash(t *testing.T) { storetest.Crash(t, mongotest.Start(t), openAt, 3) }

// BenchmarkStore measures the driver and our code: the engine below scans.
func BenchmarkStore(b *testing.B) {
	storetest.Bench(b, func(t testing.TB) storetest.Database { return database{mongotest.Start(t)} }, 1_000)
}
