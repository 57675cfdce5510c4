import java.io.*;
import java.lang.reflect.*;
import java.util.*;

/** Prints streams with everything that Spark's own samples lack: `java JdkSamples.java > jdk-17.txt`. */
public class JdkSamples {
    static class Node implements Serializable {
        private static final long serialVersionUID = 1;
        Object next;
        Object[] all;
        Node(Object next) { this.next = next; }
    }

    static class Primitives implements Serializable {
        private static final long serialVersionUID = 2;
        boolean z = true; byte b = -1; char c = '\uffff'; short s = -2; int i = -3; long j = -4; float f = 1.5f; double d = -2.5;
    }

    static class Below extends Primitives {
        private static final long serialVersionUID = 3;
        String c = "the same name one level below";
        transient int lost = 1;
    }

    static class Blocks implements Serializable {
        private static final long serialVersionUID = 4;
        int kept = 7;
        private void writeObject(ObjectOutputStream out) throws IOException {
            out.defaultWriteObject();
            out.writeInt(1);
            out.writeObject("between");
            out.write(new byte[255]);
            out.writeObject(this);
            out.write(new byte[256]);
            out.writeObject(null);
            out.write(new byte[3000]);
            out.writeUTF("end");
        }
    }

    static class External implements Externalizable {
        private static final long serialVersionUID = 5;
        public External() {}
        public void writeExternal(ObjectOutput out) throws IOException { out.writeLong(9); out.writeObject(new int[] {1}); }
        public void readExternal(ObjectInput in) {}
    }

    static class ExternalBelow extends Primitives implements Externalizable {
        private static final long serialVersionUID = 8;
        int lost = 1;
        public ExternalBelow() {}
        public void writeExternal(ObjectOutput out) throws IOException { out.writeInt(9); out.writeObject("by hand"); }
        public void readExternal(ObjectInput in) {}
    }

    static class ExternalBelowExternal extends External {
        private static final long serialVersionUID = 9;
        public ExternalBelowExternal() {}
        public void writeExternal(ObjectOutput out) throws IOException { super.writeExternal(out); out.writeInt(10); }
    }

    record Pair(int number, String text) implements Serializable {}

    interface Give extends java.util.function.Supplier<String>, Serializable {}

    static class Declared implements Serializable {
        private static final long serialVersionUID = 10;
        private static final ObjectStreamField[] serialPersistentFields = {
            new ObjectStreamField("number", int.class), new ObjectStreamField("text", String.class, true)};
        private void writeObject(ObjectOutputStream out) throws IOException {
            ObjectOutputStream.PutField fields = out.putFields();
            fields.put("number", 5);
            fields.put("text", "put");
            out.writeFields();
        }
    }

    static class Annotating extends ObjectOutputStream {
        Annotating(OutputStream out) throws IOException { super(out); }
        protected void annotateClass(Class<?> c) throws IOException { writeObject("for " + c.getName()); writeInt(4); }
        protected void annotateProxyClass(Class<?> c) throws IOException { writeInt(5); writeObject(c.getInterfaces()); }
    }

    /// Writes an object more than the list that it is.
    static class Noted extends ArrayList<String> {
        private static final long serialVersionUID = 11;
        private void writeObject(ObjectOutputStream out) throws IOException { out.defaultWriteObject(); out.writeObject("a note"); }
    }

    static class NotedMap extends HashMap<String, String> {
        private static final long serialVersionUID = 12;
        private void writeObject(ObjectOutputStream out) throws IOException { out.defaultWriteObject(); out.writeObject("a"); out.writeObject("note"); }
    }

    enum Colour { RED, GREEN { int shade() { return 1; } }; int shade() { return 0; } }

    static class Handler implements InvocationHandler, Serializable {
        private static final long serialVersionUID = 6;
        public Object invoke(Object proxy, Method method, Object[] args) { return null; }
    }

    static class Failing implements Serializable {
        private static final long serialVersionUID = 7;
        Object field = new Object();
    }

    interface Write { void to(ObjectOutputStream out) throws Exception; }

    static void print(String name, Write write) throws Exception {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        ObjectOutputStream out = new ObjectOutputStream(bytes);
        write.to(out);
        out.flush();
        print(name, bytes);
    }

    static void print(String name, ByteArrayOutputStream bytes) {
        System.out.println(name + " " + HexFormat.of().formatHex(bytes.toByteArray()));
    }

    public static void main(String[] args) throws Exception {
        System.out.println("# name, then one Java object stream in hex; written by JdkSamples.java on Java 17");
        print("empty", out -> {});
        print("primitives", out -> out.writeObject(new Primitives()));
        print("hidden-field", out -> out.writeObject(new Below()));
        print("blocks", out -> out.writeObject(new Blocks()));
        print("external", out -> out.writeObject(new External()));
        print("top-level", out -> { out.writeInt(1); out.writeObject("a"); out.writeDouble(2); out.write(new byte[2000]); });
        print("nul-and-pairs", out -> out.writeObject("a\0b\u00e9\u20ac\ud83e\udd80"));
        print("half-pair", out -> out.writeObject("x\ud83ey"));
        print("long-string", out -> out.writeObject("\u00e9".repeat(32768)));
        print("longest-short-string", out -> out.writeObject("s".repeat(65535)));
        print("arrays", out -> out.writeObject(new Object[] {
            new boolean[] {true, false}, new byte[] {1, -1}, new char[] {'a', '\ud83e'}, new short[] {1, -1},
            new int[] {1, -1}, new long[] {1, -1}, new float[] {1.5f, Float.NaN}, new double[] {0.5, -0.0},
            new int[][] {{1}, {}, null}, new String[] {"a", null}, new Object[0], new Colour[] {Colour.RED}}));
        print("classes", out -> out.writeObject(new Object[] {
            int.class, String.class, int[].class, Object.class, Colour.class, Runnable.class, Node.class}));
        print("descriptor", out -> { out.writeObject(ObjectStreamClass.lookup(Below.class)); out.writeObject(new Below()); });
        print("enums", out -> out.writeObject(new Object[] {Colour.RED, Colour.GREEN, Colour.RED}));
        print("proxy", out -> out.writeObject(Proxy.newProxyInstance(JdkSamples.class.getClassLoader(),
            new Class<?>[] {Runnable.class, Comparable.class}, new Handler())));
        print("cycle", out -> { Node a = new Node(null); a.next = new Node(a); a.all = new Object[] {a, null}; a.all[1] = a.all; out.writeObject(a); });
        print("reset", out -> { Node a = new Node("x"); out.writeObject(a); out.writeObject(a); out.reset(); out.writeObject(a); });
        print("unshared", out -> { out.writeUnshared("a"); out.writeObject("a"); });
        print("exception", out -> {
            StackTraceElement[] trace = {new StackTraceElement("app", "m", "1", "C", "run", "C.java", 3), new StackTraceElement("C", "main", null, -2)};
            Exception cause = new IllegalStateException("inner", null);
            cause.setStackTrace(trace);
            Exception e = new RuntimeException("outer", cause);
            Exception other = new IOException("beside");
            other.setStackTrace(new StackTraceElement[0]);
            e.setStackTrace(trace);
            e.addSuppressed(other);
            out.writeObject(e);
        });
        print("given-up", out -> {
            try { out.writeObject(new Object[] {"begun", new Failing()}); } catch (NotSerializableException e) { }
        });
        print("collections", out -> out.writeObject(new Object[] {
            List.of(1, 2, 3), Map.of("k", "v"), Set.of("e"), new LinkedList<>(List.of("l")), new ArrayDeque<>(List.of("q")),
            new TreeMap<>(Map.of("t", 1)), new HashSet<>(List.of("h")), new LinkedHashMap<>(Map.of("a", 1)), new TreeSet<>(List.of("s")),
            Arrays.asList("x", "y"), Collections.unmodifiableList(new ArrayList<>(List.of("u"))), Collections.emptyMap(), Optional.class,
            new Date(0), new java.net.URI("spark://h:1"), UUID.fromString("00000000-0000-0001-0000-000000000002"),
            java.time.Duration.ofSeconds(1), new java.math.BigDecimal("1.50"), Locale.ROOT, new BitSet(), EnumSet.of(Colour.RED)}));
        print("external-below", out -> { out.writeObject(new ExternalBelow()); out.writeObject(new ExternalBelowExternal()); out.writeObject("after"); });
        print("record", out -> out.writeObject(new Object[] {new Pair(1, "a"), new Pair(2, null)}));
        String captured = "captured " + args.length;
        print("lambda", out -> out.writeObject((Give) () -> captured));
        print("declared-fields", out -> out.writeObject(new Object[] {new Declared(), new Declared()}));
        ByteArrayOutputStream annotated = new ByteArrayOutputStream();
        ObjectOutputStream annotating = new Annotating(annotated);
        annotating.writeObject(new Pair(1, "a"));
        annotating.writeObject(Proxy.newProxyInstance(JdkSamples.class.getClassLoader(), new Class<?>[] {Runnable.class}, new Handler()));
        annotating.writeObject(Colour.RED);
        annotating.flush();
        print("annotated", annotated);
        print("sequences", out -> {
            List<String> elements = List.of("a", "b");
            Noted noted = new Noted();
            noted.addAll(elements);
            Stack<String> stack = new Stack<>();
            stack.addAll(elements);
            out.writeObject(new Object[] {noted, new Vector<>(elements), stack, new PriorityQueue<>(elements),
                new java.util.concurrent.CopyOnWriteArrayList<>(elements), new java.util.concurrent.CopyOnWriteArraySet<>(elements),
                new LinkedHashSet<>(elements)});
        });
        print("few", out -> out.writeObject(new Object[] {Collections.emptySet(), Collections.singleton("a"), EnumSet.of(Colour.RED)}));
        print("maps", out -> {
            Map<String, String> entries = Map.of("k", "v");
            NotedMap noted = new NotedMap();
            noted.putAll(entries);
            out.writeObject(new Object[] {noted, new IdentityHashMap<>(entries), new Hashtable<>(entries),
                new java.util.concurrent.ConcurrentHashMap<>(entries), new java.util.concurrent.ConcurrentSkipListMap<>(entries)});
        });
        print("enum-map", out -> out.writeObject(new EnumMap<>(Map.of(Colour.GREEN, "v"))));
        print("bomb", out -> {
            Set<Object> root = new HashSet<>(), s1 = root, s2 = new HashSet<>();
            for (int i = 0; i < 100; i++) {
                Set<Object> t1 = new HashSet<>(), t2 = new HashSet<>();
                t1.add("foo"); s1.add(t1); s1.add(t2); s2.add(t1); s2.add(t2); s1 = t1; s2 = t2;
            }
            out.writeObject(root);
        });
    }
}
