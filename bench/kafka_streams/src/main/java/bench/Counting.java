package bench;

import java.time.Duration;
import java.util.Properties;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.processor.api.ContextualProcessor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.Stores;

/**
 * The counting job in Kafka Streams: exactly once, one thread, all else at its defaults.
 *
 * Arguments: brokers, application id, input topic, output topic, state folder, partitions (unused), and optionally the commit interval in
 * milliseconds (default: that of exactly_once_v2, 100).
 */
public final class Counting {
    private static final String SEEN = "seen";

    private static final class Count extends ContextualProcessor<String, byte[], String, byte[]> {
        private KeyValueStore<String, Long> seen;

        @Override
        public void init(ProcessorContext<String, byte[]> context) {
            super.init(context);
            seen = context.getStateStore(SEEN);
        }

        @Override
        public void process(Record<String, byte[]> event) {
            Long count = seen.get(event.key());
            seen.put(event.key(), count == null ? 1L : count + 1L);
            context().forward(event);
        }
    }

    public static void main(String[] arguments) {
        Properties settings = new Properties();
        settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, arguments[0]);
        settings.put(StreamsConfig.APPLICATION_ID_CONFIG, arguments[1]);
        settings.put(StreamsConfig.STATE_DIR_CONFIG, arguments[4]);
        settings.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
        settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 1);
        if (arguments.length > 6) {
            settings.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, Long.parseLong(arguments[6]));
        }
        StreamsBuilder builder = new StreamsBuilder();
        // with the cache a key that changed several times within a transaction is one record of the changelog
        builder.addStateStore(
                Stores.keyValueStoreBuilder(Stores.persistentKeyValueStore(SEEN), Serdes.String(), Serdes.Long())
                        .withCachingEnabled());
        builder.stream(arguments[2], Consumed.with(Serdes.String(), Serdes.ByteArray()))
                .process(Count::new, SEEN)
                .to(arguments[3], Produced.with(Serdes.String(), Serdes.ByteArray()));
        KafkaStreams streams = new KafkaStreams(builder.build(), settings);
        Runtime.getRuntime().addShutdownHook(new Thread(() -> streams.close(Duration.ofSeconds(10))));
        streams.start();
    }

    private Counting() {}
}
