using System.Text;

namespace Grpc.Core;

public sealed partial class Metadata
{
    /// <summary>One header. Text values are ASCII on the wire; bytes need a key that ends in <c>-bin</c>.</summary>
    public class Entry
    {
        private readonly string? text;
        private readonly byte[]? bytes;

        /// <exception cref="ArgumentException">The key does not end in <c>-bin</c>, or has a character that no header name may have.</exception>
        public Entry(string key, byte[] valueBytes)
        {
            ArgumentNullException.ThrowIfNull(valueBytes);
            Key = NormalizeKey(key);
            if (!IsBinary)
                throw new ArgumentException($"Key for binary valued metadata entry needs to have suffix indicating binary value: '{key}'.", nameof(key));
            bytes = [.. valueBytes];
        }

        /// <exception cref="ArgumentException">The key ends in <c>-bin</c>, or has a character that no header name may have.</exception>
        public Entry(string key, string value)
        {
            ArgumentNullException.ThrowIfNull(value);
            Key = NormalizeKey(key);
            if (IsBinary)
                throw new ArgumentException($"Key for ASCII valued metadata entry cannot have suffix indicating binary value: '{key}'.", nameof(key));
            text = value;
        }

        public string Key { get; }

        public bool IsBinary => Key.EndsWith(BinaryHeaderSuffix, StringComparison.Ordinal);

        /// <summary>A copy of the bytes; for text its ASCII encoding.</summary>
        public byte[] ValueBytes => bytes is null ? Encoding.ASCII.GetBytes(text!) : [.. bytes];

        /// <exception cref="InvalidOperationException">The entry is binary.</exception>
        public string Value => text ?? throw new InvalidOperationException("Cannot access string value of a binary metadata entry");

        /// <summary>The bytes without a copy, for the wire.</summary>
        internal ReadOnlySpan<byte> Bytes => bytes;

        public override string ToString() => IsBinary
            ? $"[Entry: key={Key}, valueBytes={Convert.ToHexString(bytes!)}]"
            : $"[Entry: key={Key}, value={text}]";

        internal bool KeyEquals(string key) => string.Equals(Key, key, StringComparison.OrdinalIgnoreCase);

        private static string NormalizeKey(string key)
        {
            ArgumentNullException.ThrowIfNull(key);
            var lower = key.ToLowerInvariant();
            var valid = lower.Length > 0;
            foreach (var c in lower)
                valid &= char.IsAsciiLetterLower(c) || char.IsAsciiDigit(c) || c is '.' or '_' or '-';
            return valid ? lower : throw new ArgumentException(
                $"Metadata entry key '{key}' not valid. Keys can only contain lowercase alphanumeric characters, underscores, hyphens and dots.", nameof(key));
        }
    }
}
