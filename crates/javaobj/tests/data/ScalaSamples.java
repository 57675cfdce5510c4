import java.io.*;
import java.util.*;

/**
 * Prints streams of Scala's values that are rarer: `java -cp JARS ScalaSamples.java 2.12 > scala-2.12.txt`.
 */
public class ScalaSamples {
    static void print(String name, Object value) throws Exception {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        ObjectOutputStream out = new ObjectOutputStream(bytes);
        out.writeObject(value);
        out.flush();
        System.out.println(name + " " + HexFormat.of().formatHex(bytes.toByteArray()));
    }

    static Object call(Object target, String method, Object... args) throws Exception {
        for (var candidate : target.getClass().getMethods()) {
            if (candidate.getName().equals(method) && candidate.getParameterCount() == args.length && !candidate.isVarArgs()) {
                try {
                    return candidate.invoke(target, args);
                } catch (IllegalArgumentException another) { }
            }
        }
        throw new NoSuchMethodException(target.getClass() + "." + method);
    }

    static Object module(String name) throws Exception {
        return Class.forName(name + "$").getField("MODULE$").get(null);
    }

    static Object listBuffer(int... elements) throws Exception {
        Object buffer = Class.forName("scala.collection.mutable.ListBuffer").getConstructor().newInstance();
        for (int element : elements) call(buffer, "$plus$eq", element);
        return buffer;
    }

    static Object vector(int length) throws Exception {
        Object builder = call(module("scala.collection.immutable.Vector"), "newBuilder");
        for (int i = 0; i < length; i++) call(builder, "$plus$eq", i);
        return call(builder, "result");
    }

    public static void main(String[] args) throws Exception {
        boolean old = args[0].equals("2.12");
        System.out.println("# name, then one Java object stream in hex; written by ScalaSamples.java with Scala " + args[0]);
        print("listbuffer", listBuffer(1, 2));
        print("vector33", vector(33));
        Object grown = vector(40);
        grown = old
            ? call(call(grown, "updateAt", 3, "three"), "drop", 2)
            : call(call(grown, "updated", 3, "three"), "drop", 2);
        print("vector-changed", grown);
        print("vector-focus", call(vector(40), old ? "updateAt" : "updated", 35, "late"));
        print("vector1100", vector(1100));
        Object buffer = Class.forName("scala.collection.mutable.ArrayBuffer").getConstructor().newInstance();
        call(buffer, "$plus$eq", "a");
        call(buffer, "$plus$eq", "b");
        print("arraybuffer", buffer);
        print("pair-of-ints", Class.forName("scala.Tuple2$mcII$sp").getConstructor(int.class, int.class).newInstance(1, 2));
        print("pair-of-int-long", Class.forName("scala.Tuple2$mcIJ$sp").getConstructor(int.class, long.class).newInstance(1, 2L));
        Object map = Class.forName("scala.collection.mutable.LinkedHashMap").getConstructor().newInstance();
        call(map, "put", "k1", 1);
        call(map, "put", "k2", 2);
        print("linkedhashmap", map);
        Object hash = Class.forName("scala.collection.mutable.HashMap").getConstructor().newInstance();
        call(hash, "put", "k", 1);
        print("mutable-hashmap", hash);
        Object set = Class.forName("scala.collection.mutable.LinkedHashSet").getConstructor().newInstance();
        call(set, "add", "e");
        print("linkedhashset", set);
        print("list-in-buffer", call(listBuffer(3), "toList"));
        Object wrappers = module("scala.collection.JavaConverters");
        print("java-list-as-scala", call(call(wrappers, "asScalaBufferConverter", new ArrayList<>(List.of("j"))), "asScala"));
        print("java-map-as-scala", call(call(wrappers, "mapAsScalaMapConverter", new HashMap<>(Map.of("j", 1))), "asScala"));
        print("scala-list-as-java", call(call(wrappers, "seqAsJavaListConverter", call(listBuffer(5), "toList")), "asJava"));
        print("wrapped-ints", old
            ? Class.forName("scala.collection.mutable.WrappedArray$ofInt").getConstructor(int[].class).newInstance(new int[] {7, 8})
            : Class.forName("scala.collection.immutable.ArraySeq$ofInt").getConstructor(int[].class).newInstance(new int[] {7, 8}));
        Object one = call(call(module("scala.collection.immutable.Map"), "empty"), "updated", "k", 1);
        print("map-with-default", call(one, "withDefaultValue", 0));
    }
}
