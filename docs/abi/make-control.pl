#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# Makes docs/abi/control.md, on standard output, from sdk/include/collet/control.h: operations, structures with offsets, constants, and what the header says of each. The compiler is asked for
# numbers, so that none is told wrong. `make check` compares (tests/check/control-page.sh).
#   docs/abi/make-control.pl sdk/include/collet/control.h >docs/abi/control.md
use strict;
use warnings;

my $header = $ARGV[0] or die "usage: make-control.pl HEADER\n";
my $cc = $ENV{CC} || 'gcc';
open(my $in, '<', $header) or die "$header: $!\n";
my @lines = <$in>;
close $in;
chomp @lines;

# ---- Reading: a list of items in the order of the file ----
my (@items, @said, $head);

# The text of a comment without its marks; paragraphs and list items stay apart.
sub text_of {
    my @text = map { s/^\s*\/\*+\s?//r =~ s/\s*\*\/\s*$//r =~ s/^ \* ?//r } @_;
    return join("\n", @text);
}

sub field_of {
    my ($line, $prefix) = @_;
    my ($code, $comment) = $line =~ m{^\s*([^;]*);\s*(?:/\*\s*(.*?)\s*\*/)?} or return ();
    my ($type, $names) = $code =~ /^((?:unsigned |const |struct )?\w+)\s+(.*)$/ or return ();
    return map { { type => $type, name => $prefix . $_, comment => $comment // '' } } split(/,\s*/, $names);
}

sub constants_of {
    my ($body, $comment) = @_;
    return map { /^\s*(\w+)/ ? { name => $1, comment => $comment } : () } split(/,/, $body);
}

for (my $i = 0; $i < @lines; $i++) {
    my $line = $lines[$i];
    if ($line =~ m{^/\* ---- (.*?) ---- \*/}) {
        my $title = $1;
        push @items, { kind => 'section', title => $title =~ s/:.*//r, text => $title =~ /: (.*)/ ? ucfirst($1) . '.' : '' };
        @said = ();
    } elsif ($line =~ m{^/\* SPDX}) {
        next;
    } elsif ($line =~ m{^/\*}) {
        my @block = ($line);
        push @block, $lines[++$i] while $block[-1] !~ m{\*/\s*$};
        if (!defined $head) { $head = text_of(@block); next; }
        push @said, text_of(@block);
    } elsif ($line =~ /^#define (COLLET_\w+)\s+\S/) {
        my $name = $1;
        my ($comment) = $line =~ m{/\*\s*(.*?)\s*\*/};
        my $last = $items[-1];
        if (!@said && $last && $last->{kind} eq 'constants') {
            push @{$last->{list}}, { name => $name, comment => $comment // '' };
        } else {
            push @items, { kind => 'constants', text => [@said], list => [{ name => $name, comment => $comment // '' }] };
        }
        @said = ();
    } elsif ($line =~ /^enum\s*(\w*)\s*\{(.*)\};?\s*(?:\/\*\s*(.*?)\s*\*\/)?$/) {
        push @items, { kind => 'constants', title => $1, text => [@said, $3 ? $3 : ()], list => [constants_of($2, '')] };
        @said = ();
    } elsif ($line =~ /^enum\s*(\w*)\s*\{/) {
        my $item = { kind => 'constants', title => $1, text => [@said], list => [] };
        while ($lines[++$i] !~ /^\}/) {
            my ($code, $comment) = $lines[$i] =~ m{^([^/]*)(?:/\*\s*(.*?)\s*\*/)?};
            push @{$item->{list}}, constants_of($code, $comment // '');
        }
        push @items, $item;
        @said = ();
    } elsif ($line =~ /^struct (\w+) \{/) {
        my ($item, @inner) = ({ kind => 'struct', name => $1, text => [@said], fields => [] });
        my $nested = 0;
        while ($lines[++$i] !~ /^\};/) {
            if ($lines[$i] =~ /^\s+struct \{/) { $nested = 1; @inner = (); next; }
            if ($nested && $lines[$i] =~ m{^\s+\} (\w+)(\[\w+\]);\s*(?:/\*\s*(.*?)\s*\*/)?}) {
                my ($name, $array, $comment) = ($1, $2, $3 // '');
                push @{$item->{fields}}, { type => 'struct', name => "$name$array", comment => $comment };
                my $way = $comment =~ /\[out\]/ ? '[out] ' : '';
                push @{$item->{fields}}, map { { %$_, name => "$name\[i\].$_->{name}", comment => $way . $_->{comment} } } @inner;
                $nested = 0;
                next;
            }
            push @{$nested ? \@inner : $item->{fields}}, field_of($lines[$i], '');
        }
        push @items, $item;
        @said = ();
    }
}

# ---- Numbers, from the compiler ----
my %number;
my $program = "#include <stddef.h>\n#include <stdio.h>\n#include \"$header\"\nint main(void)\n{\n";
for my $item (@items) {
    if ($item->{kind} eq 'constants') {
        $program .= qq{    printf("$_->{name} %#llx\\n", (unsigned long long)($_->{name}));\n} for @{$item->{list}};
    } elsif ($item->{kind} eq 'struct') {
        $program .= qq{    printf("$item->{name} %zu\\n", sizeof(struct $item->{name}));\n};
        for my $field (@{$item->{fields}}) {
            my $path = $field->{name} =~ s/\[i\]/[0]/r;
            $path =~ s/(\[\w+\])+$//;
            $program .= qq{    printf("$item->{name}.$field->{name} %zu\\n", offsetof(struct $item->{name}, $path));\n};
        }
    }
}
my $made = "/tmp/make-control.$$";
open(my $pipe, '|-', "$cc -x c -std=gnu11 -I. -o $made -") or die "$cc: $!\n";
print $pipe $program . "    return 0;\n}\n";
close $pipe or die "make-control: the compiler refused\n";
for (`$made`) {
    $number{$1} = $2 if /^(\S+) (\S+)$/;
}
unlink $made;

# Small numbers in decimal; the hypercall is known by its hexadecimal number.
sub value {
    my $v = hex($number{$_[0]} // die "make-control: no number for $_[0]\n");
    return $v < 10000 && $v != 0x100 ? $v : sprintf('%#x', $v);
}

# ---- Writing ----
sub safe {
    my $t = join(' ', split(' ', $_[0]));
    $t =~ s/<([\w-]+\/[\w.-]+)>/`<$1>`/g;
    $t =~ s/<(?![\w-]+\/[\w.-]+>`)/&lt;/g;
    return $t;
}
sub cell { return safe($_[0]) =~ s/\|/\\|/gr; }

# Paragraphs of a comment; lines that begin with a dash are list items.
sub paragraphs {
    my @out;
    for my $block (@_) {
        my ($text, @parts) = ('');
        for my $line (split(/\n/, $block)) {
            if ($line =~ /^\s*$/) { push @parts, $text; $text = ''; }
            elsif ($line =~ /^\s+- /) { push @parts, $text; $text = $line =~ s/^\s+//r; }
            elsif ($line =~ /^    \S/ && $text eq '') { push @parts, $line; }
            else { $text .= " $line"; }
        }
        push @parts, $text;
        push @out, map { /^    / ? $_ : safe($_) } grep { /\S/ } @parts;
    }
    # Items of one list follow each other closely.
    my $page = '';
    for my $k (0 .. $#out) {
        $page .= $out[$k] . ($out[$k] =~ /^- / && $k < $#out && $out[$k + 1] =~ /^- / ? "\n" : "\n\n");
    }
    return $page;
}

# What an item's comments say. One that begins with an operation's name, or several, begins the part of that operation.
sub print_said {
    my ($item, $title) = @_;
    my @text = @{$item->{text}};
    for my $text (@text) {
        next unless $text =~ s/^\s*(COLLET_OP_\w+)((?:, _\w+)*)[.:]\s*//;
        print "### $1$2\n\n";
        $title = '';
        print 'Operation ' . value($1) . ($2 ne '' ? ' and those after it' : '') . ".\n\n";
        $text = ucfirst($text) unless $text =~ /^vCPU/;
    }
    print "### $title\n\n" if $title ne '' && !$item->{inner};
    print paragraphs(@text);
}

sub print_constants {
    my ($item) = @_;
    my $said = grep { $_->{comment} ne '' } @{$item->{list}};
    my $title = $item->{title} // '';
    print_said($item, $title eq 'collet_op' ? 'Operations' : $title ne '' ? "enum $title" : '');
    print $said ? "| name | value | meaning |\n|---|---|---|\n" : "| name | value |\n|---|---|\n";
    print "| $_->{name} | " . value($_->{name}) . ($said ? ' | ' . cell($_->{comment}) : '') . " |\n" for @{$item->{list}};
    print "\n";
}

sub direction {
    my ($field) = @_;
    return join(', ', ($field->{comment} =~ /\[in\]/ ? 'in' : ()), ($field->{comment} =~ /\[out\]/ ? 'out' : ()));
}

sub meaning {
    my ($field) = @_;
    return 'zero' if $field->{name} =~ /^pad\d*$/;
    my $text = $field->{comment};
    if ($text =~ /\[in\](.*?)\s*\[out\](.*)/) {
        my ($in, $out) = ($1, $2);
        return cell("in: $in; out: $out");
    }
    return cell($text =~ s/\[(in|out)\][,:]?//gr);
}

sub print_struct {
    my ($item) = @_;
    print_said($item, "struct $item->{name}");
    my $any = grep { direction($_) ne '' } @{$item->{fields}};
    print "`struct $item->{name}`, $number{$item->{name}} bytes:\n\n";
    print $any ? "| offset | field | type | | meaning |\n|---|---|---|---|---|\n" : "| offset | field | type | meaning |\n|---|---|---|---|\n";
    for my $field (@{$item->{fields}}) {
        my $offset = $number{"$item->{name}.$field->{name}"};
        print "| $offset | $field->{name} | $field->{type} | " . ($any ? direction($field) . ' | ' : '') . meaning($field) . " |\n";
    }
    print "\n";
}

print "# The control interface\n\n<!-- Made by docs/abi/make-control.pl from sdk/include/collet/control.h: change that, then run \"make control-page\". -->\n\n";
print paragraphs($head);
for my $item (@items) {
    if ($item->{kind} eq 'section') {
        print "## $item->{title}\n\n" . paragraphs($item->{text});
    } elsif ($item->{kind} eq 'constants') {
        print_constants($item);
    } else {
        print_struct($item);
    }
}
print paragraphs(@said) if @said;
