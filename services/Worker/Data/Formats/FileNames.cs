using System.Text;

namespace Cluster.Worker.Data.Formats;

/// <summary>Names of files, which are bytes to the file system and text to people.</summary>
internal static class FileNames
{
    private static readonly UTF8Encoding Strict = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    /// <summary>What systems and archivers leave beside a user's files, by its whole name; besides, everything hidden.</summary>
    private static readonly HashSet<string> Leftovers = new(StringComparer.OrdinalIgnoreCase)
    {
        // Windows, macOS
        "Thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "Icon\r", "$RECYCLE.BIN", "System Volume Information",
        "__MACOSX", "Network Trash Folder", "Temporary Items", // macOS, in its archives and on shares
        // storage and file systems
        "@eaDir", "@Recycle", "@Recently-Snapshot", "@tmp", "#recycle", "#snapshot", "lost+found", "aquota.user", "aquota.group",
        "__pycache__",
    };

    /// <summary>Copies that are not whole yet, and what is thrown away later.</summary>
    private static readonly string[] PassingEndings =
        [".tmp", ".temp", ".part", ".partial", ".filepart", ".crdownload", ".download", ".opdownload", ".aria2", ".swp", ".bak", "~"];

    /// <summary>Hidden, or known to come from a system or an archiver: no part of any data set.</summary>
    public static bool IsLeftover(string name) => name.Length == 0 || name[0] == '.' || Leftovers.Contains(name);

    /// <summary>Ends as a download or copy under way does.</summary>
    public static bool IsPassing(string name) => PassingEndings.Any(ending => name.EndsWith(ending, StringComparison.OrdinalIgnoreCase));

    /// <summary>False where the bytes are no UTF-8: the text is then escaped, and .NET cannot open a file by it.</summary>
    public static bool TryDecode(byte[] name, out string text)
    {
        try
        {
            text = Strict.GetString(name);
            return true;
        }
        catch (DecoderFallbackException)
        {
            text = Escaped(name);
            return false;
        }
    }

    /// <summary>For messages: what would upset a terminal or a log as <c>\xHH</c>.</summary>
    public static string Shown(string name) =>
        name.Any(char.IsControl) ? string.Concat(name.Select(c => char.IsControl(c) ? $"\\x{(int)c:X2}" : $"{c}")) : name;

    private static string Escaped(byte[] name)
    {
        var text = new StringBuilder();
        for (var rest = name.AsSpan(); rest.Length > 0;)
        {
            var whole = Rune.DecodeFromUtf8(rest, out var rune, out var used) == System.Buffers.OperationStatus.Done;
            if (whole)
                text.Append(rune);
            else
                text.Append($"\\x{rest[0]:X2}");
            rest = rest[(whole ? used : 1)..];
        }

        return text.ToString();
    }
}
