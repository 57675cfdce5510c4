import java.io.*;
import java.nio.charset.StandardCharsets;
import java.util.*;

/** Reads lines of a stream in hex, a tab, and the text that its object should have; complains about those that differ. */
public class ReadBack {
    public static void main(String[] args) throws Exception {
        int same = 0, different = 0;
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line; (line = in.readLine()) != null;) {
            String[] parts = line.split("\t", 2);
            String text;
            try (ObjectInputStream stream = new ObjectInputStream(new ByteArrayInputStream(HexFormat.of().parseHex(parts[0])))) {
                text = text(stream.readObject()).replace("\n", "\\n").replace("\t", "\\t");
            } catch (Throwable e) {
                text = "failed: " + e;
            }
            if (text.equals(parts[1])) {
                same++;
            } else {
                different++;
                System.out.println("read:     " + text + "\nexpected: " + parts[1]);
            }
        }
        System.out.println(same + " objects as expected, " + different + " not");
        System.exit(same > 0 && different == 0 ? 0 : 1);
    }

    static String text(Object object) throws Exception {
        if (object instanceof Throwable exception) {
            if (object.getClass().getName().equals("org.apache.spark.SparkException")) {
                // These fail when a field is null that must not be.
                object.getClass().getMethod("getErrorClass").invoke(object);
                object.getClass().getMethod("getMessageParameters").invoke(object);
                object.getClass().getMethod("getQueryContext").invoke(object);
            }
            StringWriter trace = new StringWriter();
            exception.printStackTrace(new PrintWriter(trace, true));
            return trace.toString().replace("\r", "").stripTrailing();
        }
        if (object instanceof Object[] array) {
            return Arrays.toString(array);
        }
        return object instanceof int[] array ? Arrays.toString(array) : String.valueOf(object);
    }
}
