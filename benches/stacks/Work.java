import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** Maps, strings and sorting, in code that is interpreted first and compiled later. */
public class Work {
    static int turn(int seed) {
        Map<String, Integer> counts = new HashMap<>();
        List<String> words = new ArrayList<>();
        for (int i = 0; i < 2000; i++) {
            seed = seed * 1103515245 + 12345;
            String word = Integer.toString(seed >>> 20, 36);
            words.add(word);
            counts.merge(word, 1, Integer::sum);
        }
        words.sort((a, b) -> counts.get(a) - counts.get(b) != 0 ? counts.get(a) - counts.get(b) : a.compareTo(b));
        return words.hashCode();
    }

    public static void main(String[] arguments) {
        int sum = 0;
        for (int i = 0;; i++) {
            sum += turn(i);
            if (sum == 42) System.out.println(sum);
        }
    }
}
