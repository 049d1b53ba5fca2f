using System.Globalization;
using System.Text;

namespace Cluster.Dashboard.Layout;

/// <summary>Figures as people read them. What is no finite number is shown as what it is.</summary>
internal static class Figures
{
    public static string Short(string id) => id.Length > 8 ? id[..8] : id;

    public static string Percent(double? fraction) => fraction switch
    {
        null => "",
        { } value when !double.IsFinite(value) => Odd(value),
        { } value => (value * 100).ToString("F2", CultureInfo.InvariantCulture) + " %",
    };

    public static string Decimal(double? value, int digits) => value switch
    {
        null => "",
        { } odd when !double.IsFinite(odd) => Odd(odd),
        { } number when Math.Abs(number) >= 1e7 => number.ToString("0.###e0", CultureInfo.InvariantCulture),
        { } number => number.ToString("N" + digits, CultureInfo.InvariantCulture),
    };

    /// <summary>As many digits as it takes and no more: a learning rate, say.</summary>
    public static string Plain(double value) => value.ToString("G6", CultureInfo.InvariantCulture);

    public static string Count(long value) => value.ToString("N0", CultureInfo.InvariantCulture);

    public static string Count(int count, string one, string many) => count == 1 ? $"1 {one}" : $"{Count(count)} {many}";

    /// <summary>"1.9 GiB", "528 MiB".</summary>
    public static string Bytes(long bytes) => bytes switch
    {
        >= 1L << 30 => (bytes / (double)(1L << 30)).ToString("F1", CultureInfo.InvariantCulture) + " GiB",
        >= 1L << 20 => (bytes / (double)(1L << 20)).ToString("F0", CultureInfo.InvariantCulture) + " MiB",
        _ => (bytes / 1024.0).ToString("F0", CultureInfo.InvariantCulture) + " KiB",
    };

    /// <summary>"12.3 ms", "1.25 s": what a step takes.</summary>
    public static string Seconds(double seconds) => seconds < 1
        ? (seconds * 1000).ToString("F1", CultureInfo.InvariantCulture) + " ms"
        : seconds.ToString("F2", CultureInfo.InvariantCulture) + " s";

    public static string Length(TimeSpan? time) => time switch
    {
        null => "",
        { TotalSeconds: < 0 } => "0 s",
        { TotalMinutes: < 1 } some => $"{some.Seconds} s",
        { TotalHours: < 1 } some => $"{some.Minutes} min {some.Seconds:00} s",
        { TotalDays: < 1 } some => $"{some.Hours} h {some.Minutes:00} min",
        { } some => $"{(int)some.TotalDays} d {some.Hours:00} h",
    };

    /// <summary>
    /// Text from elsewhere, its control characters as the pictures that Unicode has of them: an escape sequence is seen as one.
    /// </summary>
    public static string Visible(string text)
    {
        if (!text.Any(IsControl))
            return text;
        var shown = new StringBuilder(text.Length);
        foreach (var character in text)
        {
            shown.Append(character switch
            {
                < ' ' when IsControl(character) => (char)('\u2400' + character),
                '\x7f' => '\u2421',
                _ when IsControl(character) => '\ufffd',
                _ => character,
            });
        }

        return shown.ToString();
    }

    // Those of writing direction too, which would show a text other than it is.
    private static bool IsControl(char character) =>
        (char.IsControl(character) && character != '\t') || character is (>= '\u202a' and <= '\u202e') or (>= '\u2066' and <= '\u2069');

    private static string Odd(double value) => double.IsNaN(value) ? "NaN" : value > 0 ? "∞" : "-∞";
}
