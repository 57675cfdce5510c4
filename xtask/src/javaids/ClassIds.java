import java.io.*;
import java.lang.reflect.Modifier;
import java.util.*;
import java.util.jar.JarFile;
import java.util.stream.*;

/**
 * Prints what Java knows of serialisable classes: name, serialVersionUID, kind, superclass, fields, between tabs.
 *
 * The names come from standard input, one a line; `a.b.*` stands for all classes on the class path that begin so.
 * Loads classes without running their initialisers, except that ObjectStreamClass looks for a declared id.
 */
public class ClassIds {
    public static void main(String[] args) throws Exception {
        List<String> wanted = new BufferedReader(new InputStreamReader(System.in)).lines()
            .map(String::strip).filter(line -> !line.isEmpty() && !line.startsWith("#")).toList();
        SortedSet<String> names = new TreeSet<>();
        for (String name : wanted) {
            if (!name.endsWith("*")) {
                names.add(name);
            }
        }
        List<String> prefixes = wanted.stream().filter(name -> name.endsWith("*"))
            .map(name -> name.substring(0, name.length() - 1)).toList();
        for (String path : System.getProperty("java.class.path").split(File.pathSeparator)) {
            if (path.endsWith(".jar")) {
                try (JarFile jar = new JarFile(path)) {
                    jar.stream().map(entry -> entry.getName()).filter(ClassIds::isNamedClass)
                        .map(name -> name.substring(0, name.length() - ".class".length()).replace('/', '.'))
                        .filter(name -> prefixes.stream().anyMatch(name::startsWith))
                        .filter(name -> !isCompanion(name))
                        .forEach(names::add);
                }
            }
        }
        PrintStream out = new PrintStream(new FileOutputStream(FileDescriptor.out), false, "UTF-8");
        for (String name : names) {
            Class<?> type = load(name);
            if (type != null && (Serializable.class.isAssignableFrom(type)) && !type.isInterface()) {
                out.println(row(type));
            }
        }
        out.flush();
    }

    static boolean isNamedClass(String entry) {
        return entry.endsWith(".class") && !entry.startsWith("META-INF") && !entry.contains("$anon")
            && !entry.matches(".*\\$[0-9]+\\.class");
    }

    /** The companion object of a case class is never sent. */
    static boolean isCompanion(String name) {
        if (!name.endsWith("$")) {
            return false;
        }
        Class<?> type = load(name.substring(0, name.length() - 1));
        return type != null && Serializable.class.isAssignableFrom(type);
    }

    static Class<?> load(String name) {
        try {
            return Class.forName(name, false, ClassIds.class.getClassLoader());
        } catch (ClassNotFoundException | LinkageError e) {
            return null;
        }
    }

    static String row(Class<?> type) throws Exception {
        ObjectStreamClass desc = ObjectStreamClass.lookupAny(type);
        String kind = type.isEnum() || type == Enum.class ? "E"
            : Externalizable.class.isAssignableFrom(type) ? "X"
            : writesItself(type) ? "W" : "S";
        Class<?> above = type.getSuperclass();
        boolean shown = above != null && Serializable.class.isAssignableFrom(above) && !type.isArray();
        String fields = kind.equals("E") || kind.equals("X") ? "" : Arrays.stream(desc.getFields())
            .map(field -> (field.isPrimitive() ? "" + field.getTypeCode() : field.getTypeString()) + " " + field.getName())
            .collect(Collectors.joining(","));
        long uid = kind.equals("E") ? 0 : desc.getSerialVersionUID();
        return String.join("\t", type.getName(), Long.toString(uid), kind, shown ? above.getName() : "", fields);
    }

    static boolean writesItself(Class<?> type) {
        try {
            var method = type.getDeclaredMethod("writeObject", ObjectOutputStream.class);
            return Modifier.isPrivate(method.getModifiers()) && method.getReturnType() == void.class;
        } catch (NoSuchMethodException | LinkageError e) {
            return false;
        }
    }
}
