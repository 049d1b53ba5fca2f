using System.Text;

namespace Cluster.Worker.Agent;

/// <summary>Cuts a stream of bytes into lines of text, none longer than the log keeps.</summary>
/// <remarks>A line ends at "\n" or "\r\n". A carriage return alone, as progress bars write it, ends one too.</remarks>
internal sealed class LineCutter(Action<string> emit)
{
    /// <summary>As cluster.v1.LogLine says; the notice of the cut is within it.</summary>
    public const int MaxLineBytes = 16 * 1024;

    // "… [1234567890 bytes cut]" fits.
    private const int NoticeBytes = 40;

    private readonly byte[] _line = new byte[MaxLineBytes - NoticeBytes];
    private int _length;
    private long _cut;
    private bool _afterReturn;

    public void Add(ReadOnlySpan<byte> bytes)
    {
        while (!bytes.IsEmpty)
        {
            if (_afterReturn && bytes[0] == '\n')
                bytes = bytes[1..];
            _afterReturn = false;
            var end = bytes.IndexOfAny((byte)'\n', (byte)'\r');
            if (end < 0)
            {
                Append(bytes);
                return;
            }

            Append(bytes[..end]);
            Emit();
            _afterReturn = bytes[end] == '\r';
            bytes = bytes[(end + 1)..];
        }
    }

    /// <summary>The stream's end: what is left without a line end is a line too.</summary>
    public void Finish()
    {
        if (_length > 0)
            Emit();
    }

    private void Append(ReadOnlySpan<byte> bytes)
    {
        var taken = Math.Min(bytes.Length, _line.Length - _length);
        bytes[..taken].CopyTo(_line.AsSpan(_length));
        _length += taken;
        _cut += bytes.Length - taken;
    }

    private void Emit()
    {
        // A cut may fall inside a character: its bytes decode to U+FFFD, three bytes each; so whole characters only.
        var length = _length;
        while (_cut > 0 && length > 0 && (_line[length - 1] & 0xC0) == 0x80)
            length--;
        if (_cut > 0 && length > 0 && _line[length - 1] >= 0xC0)
            length--;
        var text = Encoding.UTF8.GetString(_line, 0, length);
        if (_cut > 0)
            text += $"… [{_cut + _length - length} bytes cut]";
        // Bytes that are no UTF-8 grow when they become U+FFFD. Postgres takes no NUL.
        emit(Limited(text.Replace('\0', '\uFFFD')));
        _length = 0;
        _cut = 0;
    }

    private static string Limited(string text)
    {
        if (Encoding.UTF8.GetByteCount(text) <= MaxLineBytes)
            return text;
        var characters = MaxLineBytes / 3 - NoticeBytes;
        return string.Concat(text.AsSpan(0, characters), $"… [{text.Length - characters} characters cut]");
    }
}
